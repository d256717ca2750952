// Where does each point of a group come to in one pass of UMAP, and where do those go that it is tied to? A thread moves
// one point, against the places before.
//
// The same steps in the same order as the processor's walk, draws included; only rounding differs.

struct Pass {
    // Points of the group, from and up to.
    first: u32,
    end: u32,
    count: u32,
    epoch: u32,
    alpha: f32,
    a: f32,
    b: f32,
    seed: u32,
}

@group(0) @binding(0) var<storage, read> places: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> moved: array<vec4<f32>>;
// Ties of a point: starts[point] up to starts[point + 1].
@group(0) @binding(2) var<storage, read> starts: array<u32>;
// The other end of each, and how often a pass it pulls: a float's bits, for some processors bind four buffers only.
@group(0) @binding(3) var<storage, read> ties: array<vec2<u32>>;
@group(1) @binding(0) var<uniform> walk: Pass;

const MEETINGS: u32 = 5u;
const LONGEST: f32 = 4.0;

fn hash(value: u32) -> u32 {
    let state = value * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

// The upper half of a product of 64 bits.
fn high(a: u32, b: u32) -> u32 {
    let low_a = a & 0xFFFFu;
    let high_a = a >> 16u;
    let low_b = b & 0xFFFFu;
    let high_b = b >> 16u;
    let middle = high_a * low_b + ((low_a * low_b) >> 16u);
    let other = low_a * high_b + (middle & 0xFFFFu);
    return high_a * high_b + (middle >> 16u) + (other >> 16u);
}

// x^p of a positive number, as the processor's walk computes it.
fn power(x: f32, p: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let exponent = i32(bits >> 23u) - 127;
    let mantissa = bitcast<f32>((bits & 0x007FFFFFu) | 0x3F800000u);
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let log = ratio * (2.88539 + square * (0.961797 + square * (0.577078 + square * 0.412199)));
    let goal = p * (f32(exponent) + log);
    let whole = clamp(floor(goal), -126.0, 126.0);
    let part = goal - whole;
    let fraction = 1.0 + part * (0.69314718 + part * (0.2402265 + part * (0.0558032 + part * (0.0090134 + part * 0.0018097))));
    return bitcast<f32>(u32(i32(whole) + 127) << 23u) * fraction;
}

fn step(at: vec3<f32>, other: vec3<f32>, pull: bool) -> vec3<f32> {
    let apart = at - other;
    let squared = dot(apart, apart);
    if (squared <= 0.0) {
        return at;
    }
    let grown = power(squared, walk.b);
    var factor = 2.0 * walk.b / ((0.001 + squared) * (1.0 + walk.a * grown));
    if (pull) {
        factor = -2.0 * walk.a * walk.b * grown / (squared * (1.0 + walk.a * grown));
    }
    return at + walk.alpha * clamp(factor * apart, vec3(-LONGEST), vec3(LONGEST));
}

// How often a tie pulls in this pass.
fn pulls_of(tie: u32) -> u32 {
    let now = f32(walk.epoch);
    let rate = bitcast<f32>(ties[tie].y);
    return u32(rate * (now + 1.0)) - u32(rate * now);
}

@compute @workgroup_size(64)
fn walk_group(@builtin(global_invocation_id) id: vec3<u32>) {
    let point = walk.first + id.x;
    if (point >= walk.end) {
        return;
    }
    var at = places[point].xyz;
    var draws = hash(point ^ hash(walk.epoch ^ walk.seed)) | 1u;
    for (var tie = starts[point]; tie < starts[point + 1u]; tie += 1u) {
        let pulls = pulls_of(tie);
        for (var pull = 0u; pull < pulls; pull += 1u) {
            let other = places[ties[tie].x].xyz;
            at = step(at, other, true);
            for (var meeting = 0u; meeting < MEETINGS; meeting += 1u) {
                draws ^= draws << 13u;
                draws ^= draws >> 17u;
                draws ^= draws << 5u;
                let met = high(draws, walk.count);
                if (met != point) {
                    at = step(at, places[met].xyz, false);
                }
            }
        }
    }
    moved[id.x] = vec4(at, 0.0);
}

// Where any point comes to by its ties to the group, which has just walked. Ties are by rising id.
@compute @workgroup_size(64)
fn pull_others(@builtin(global_invocation_id) id: vec3<u32>) {
    let point = id.x;
    if (point >= walk.count) {
        return;
    }
    var at = places[point].xyz;
    for (var tie = starts[point]; tie < starts[point + 1u]; tie += 1u) {
        let other = ties[tie].x;
        if (other >= walk.end) {
            break;
        }
        if (other >= walk.first) {
            let pulls = pulls_of(tie);
            for (var pull = 0u; pull < pulls; pull += 1u) {
                at = step(at, places[other].xyz, true);
            }
        }
    }
    moved[point] = vec4(at, 0.0);
}
