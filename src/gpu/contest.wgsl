// Contests of contestants who draw whole numbers from tables: who is highest, and what is the second highest?
// Whole numbers only, so that every driver gives the same answer; the processor's loop is the reference.

struct Setup {
    contestants: u32,
    floor: i32,
    // Contests of every block but the last, and of the last.
    contests: u32,
    contests_of_last: u32,
    blocks: u32,
    unused_a: u32,
    unused_b: u32,
    unused_c: u32,
}

@group(0) @binding(0) var<uniform> setup: Setup;
// 4,096 entries a table, then one entry a contestant: the table that it draws from.
@group(0) @binding(1) var<storage, read> tables: array<i32>;
@group(0) @binding(2) var<storage, read> keys: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> answers: array<u32>;

const THREADS: u32 = 256u;
const MOST: u32 = 192u;
const NOBODY: u32 = 0xffffffffu;
// 7 words of sums, then the wins of each contestant.
const SUMS: u32 = 7u;

var<workgroup> wins: array<atomic<u32>, MOST>;
var<workgroup> sold_sum: atomic<u32>;
var<workgroup> wide: array<vec2<u32>, THREADS>;

fn random(key: vec2<u32>, counter: u32) -> u32 {
    var x = (counter * 0x9E3779B9u) ^ key.x;
    x = (x ^ (x >> 16u)) * 0x7FEB352Du;
    x = (x ^ (x >> 15u) ^ key.y) * 0x846CA68Bu;
    return x ^ (x >> 16u);
}

fn drawn(table: u32, bits: u32) -> i32 {
    let x = f32(((bits >> 7u) & 0x00FFFFFEu) | 1u);
    let log = bitcast<u32>(x);
    let node = ((log >> 17u) - 8128u) | ((bits >> 31u) << 11u);
    let part = (log & 0x0001FFFFu) >> 1u;
    let lower = tables[table * 4096u + (node & 4095u)];
    let step = tables[table * 4096u + ((node + 1u) & 4095u)] - lower;
    let high = (step >> 16u) * i32(part);
    let low = ((bitcast<u32>(step) & 0xFFFFu) * part) >> 16u;
    return lower + high + i32(low);
}

struct Result {
    winner: u32,
    first: i32,
    second: i32,
}

fn contest(key: vec2<u32>, place: u32, first_entry: u32) -> Result {
    var first = -1;
    var second = setup.floor;
    var winner = NOBODY;
    for (var who = 0u; who < setup.contestants; who++) {
        let bits = random(key, who * 65536u + place);
        let value = drawn(u32(tables[first_entry + who]), bits);
        let takes_it = value > first || (value == first && (bits & 0x7Fu) >= 0x40u);
        second = max(second, min(value, first));
        winner = select(winner, who, takes_it);
        first = max(first, value);
    }
    if (first < setup.floor) {
        return Result(NOBODY, 0, 0);
    }
    return Result(winner, first, second);
}

fn add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// The square of a number below 2^24, in two words.
fn square(value: u32) -> vec2<u32> {
    let high = value >> 12u;
    let low = value & 0xFFFu;
    let middle = 2u * high * low;
    let sum = add(vec2<u32>(low * low, 0u), vec2<u32>(middle << 12u, middle >> 20u));
    let top = high * high;
    return add(sum, vec2<u32>(top << 24u, top >> 8u));
}

fn total(thread: u32, own: vec2<u32>) -> vec2<u32> {
    wide[thread] = own;
    for (var reach = THREADS / 2u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if (thread < reach) {
            wide[thread] = add(wide[thread], wide[thread + reach]);
        }
    }
    workgroupBarrier();
    let sum = wide[0];
    workgroupBarrier();
    return sum;
}

fn first_entry() -> u32 {
    return arrayLength(&tables) - setup.contestants;
}

// One workgroup a block: sums over its contests.
@compute @workgroup_size(256)
fn tally(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let block = group.x;
    let key = keys[block];
    let entry = first_entry();
    for (var who = thread; who < setup.contestants; who += THREADS) {
        atomicStore(&wins[who], 0u);
    }
    if (thread == 0u) {
        atomicStore(&sold_sum, 0u);
    }
    workgroupBarrier();
    var n = setup.contests;
    if (block + 1u == setup.blocks) {
        n = setup.contests_of_last;
    }
    var sold = 0u;
    var paid = vec2<u32>(0u);
    var worth = vec2<u32>(0u);
    var squares = vec2<u32>(0u);
    for (var place = thread; place < n; place += THREADS) {
        let result = contest(key, place, entry);
        if (result.winner != NOBODY) {
            sold += 1u;
            paid = add(paid, vec2<u32>(u32(result.second), 0u));
            worth = add(worth, vec2<u32>(u32(result.first), 0u));
            squares = add(squares, square(u32(result.second) >> 8u));
            atomicAdd(&wins[result.winner], 1u);
        }
    }
    atomicAdd(&sold_sum, sold);
    let all_paid = total(thread, paid);
    let all_worth = total(thread, worth);
    let all_squares = total(thread, squares);
    let out = block * (SUMS + setup.contestants);
    if (thread == 0u) {
        answers[out] = atomicLoad(&sold_sum);
        answers[out + 1u] = all_paid.x;
        answers[out + 2u] = all_paid.y;
        answers[out + 3u] = all_worth.x;
        answers[out + 4u] = all_worth.y;
        answers[out + 5u] = all_squares.x;
        answers[out + 6u] = all_squares.y;
    }
    for (var who = thread; who < setup.contestants; who += THREADS) {
        answers[out + SUMS + who] = atomicLoad(&wins[who]);
    }
}

// Winner and second highest of each contest of the first block.
@compute @workgroup_size(256)
fn each(@builtin(global_invocation_id) id: vec3<u32>) {
    let place = id.x;
    if (place < setup.contests_of_last) {
        let result = contest(keys[0], place, first_entry());
        answers[2u * place] = result.winner;
        answers[2u * place + 1u] = u32(result.second);
    }
}
