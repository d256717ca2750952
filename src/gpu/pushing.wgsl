// How do all points of a t-SNE map push each other, and where does each come to in one pass? Every pair is summed, tile by
// tile, where the processor walks a tree.

struct Pass {
    // Points of this dispatch, from and up to: a slow card is not asked for all pairs at once.
    first: u32,
    end: u32,
    count: u32,
    exaggeration: f32,
    rate: f32,
    momentum: f32,
    longest: f32,
    unused: u32,
}

// What moves a point, besides its place.
struct Motion {
    speed: vec4<f32>,
    gain: vec4<f32>,
}

const TILE: u32 = 256u;

// Each kernel has its own four buffers: some processors bind no more.
@group(0) @binding(0) var<storage, read> seen: array<vec4<f32>>;
// Of each point: the sum of w^2 (y_i - y_j), and of w; then the gradient. After the last point: the sum of all w.
@group(0) @binding(1) var<storage, read_write> forces: array<vec4<f32>>;
// Ties of a point: starts[point] up to starts[point + 1].
@group(0) @binding(2) var<storage, read> starts: array<u32>;
// The other end of each, and a float's bits: how strongly it pulls.
@group(0) @binding(3) var<storage, read> ties: array<vec2<u32>>;
@group(0) @binding(0) var<storage, read_write> places: array<vec4<f32>>;
// After the last point: the middle of all, in `speed`.
@group(0) @binding(2) var<storage, read_write> motions: array<Motion>;
@group(1) @binding(0) var<uniform> now: Pass;

var<workgroup> tile: array<vec4<f32>, 256>;

// What a point of so much mass does to one: w^2 (y_i - y_j), and w.
fn push_of(own: vec3<f32>, there: vec4<f32>) -> vec4<f32> {
    let apart = own - there.xyz;
    let near = 1.0 / (1.0 + dot(apart, apart));
    let w = there.w * near;
    return vec4(w * near * apart, w);
}

@compute @workgroup_size(256)
fn push(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let point = now.first + group.x * TILE + local;
    let own = seen[min(point, now.count - 1u)].xyz;
    var all = vec4(0.0);
    for (var begin = 0u; begin < now.count; begin += TILE) {
        // The fourth number is the mass: nothing stands beyond the last point.
        tile[local] = vec4(0.0);
        if (begin + local < now.count) {
            tile[local] = vec4(seen[begin + local].xyz, 1.0);
        }
        workgroupBarrier();
        // Sums of sums: one long sum of floats would lose digits.
        var some = vec4(0.0);
        // Eight at a time: the loop itself would take as long as a pair.
        for (var other = 0u; other < TILE; other += 8u) {
            some += push_of(own, tile[other]);
            some += push_of(own, tile[other + 1u]);
            some += push_of(own, tile[other + 2u]);
            some += push_of(own, tile[other + 3u]);
            some += push_of(own, tile[other + 4u]);
            some += push_of(own, tile[other + 5u]);
            some += push_of(own, tile[other + 6u]);
            some += push_of(own, tile[other + 7u]);
        }
        all += some;
        workgroupBarrier();
    }
    if (point < now.end) {
        // The point itself was among the others, at distance 0.
        forces[point] = all - vec4(0.0, 0.0, 0.0, 1.0);
    }
}

// Adds the tile up; every thread gets the sum.
fn total(local: u32) -> vec4<f32> {
    workgroupBarrier();
    for (var half = TILE / 2u; half > 0u; half /= 2u) {
        if (local < half) {
            tile[local] += tile[local + half];
        }
        workgroupBarrier();
    }
    return tile[0];
}

@compute @workgroup_size(256)
fn sum_closeness(@builtin(local_invocation_index) local: u32) {
    var some = 0.0;
    for (var point = local; point < now.count; point += TILE) {
        some += forces[point].w;
    }
    tile[local] = vec4(some, 0.0, 0.0, 0.0);
    let all = total(local);
    if (local == 0u) {
        forces[now.count] = all;
    }
}

// The gradient: the pulls along the ties less the share of the pushes.
@compute @workgroup_size(256)
fn pull(@builtin(global_invocation_id) id: vec3<u32>) {
    let point = id.x;
    if (point >= now.count) {
        return;
    }
    let own = seen[point].xyz;
    var sum = vec3(0.0);
    for (var tie = starts[point]; tie < starts[point + 1u]; tie += 1u) {
        let apart = own - seen[ties[tie].x].xyz;
        sum += bitcast<f32>(ties[tie].y) / (1.0 + dot(apart, apart)) * apart;
    }
    let push = forces[point].xyz / forces[now.count].x;
    forces[point] = vec4(4.0 * (now.exaggeration * sum - push), 0.0);
}

@compute @workgroup_size(256)
fn step(@builtin(global_invocation_id) id: vec3<u32>) {
    let point = id.x;
    if (point >= now.count) {
        return;
    }
    let gradient = forces[point].xyz;
    let before = motions[point];
    let turned = (gradient > vec3(0.0)) != (before.speed.xyz > vec3(0.0));
    let gain = select(max(before.gain.xyz * 0.8, vec3(0.01)), before.gain.xyz + 0.2, turned);
    var speed = now.momentum * before.speed.xyz - now.rate * gain * gradient;
    let far = length(speed);
    if (far > now.longest) {
        speed *= now.longest / far;
    }
    motions[point] = Motion(vec4(speed, 0.0), vec4(gain, 0.0));
    places[point] += vec4(speed, 0.0);
}

@compute @workgroup_size(256)
fn find_middle(@builtin(local_invocation_index) local: u32) {
    var some = vec4(0.0);
    for (var point = local; point < now.count; point += TILE) {
        some += places[point];
    }
    tile[local] = some;
    let all = total(local);
    if (local == 0u) {
        motions[now.count].speed = all / f32(now.count);
    }
}

@compute @workgroup_size(256)
fn centre(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < now.count) {
        places[id.x] -= motions[now.count].speed;
    }
}
