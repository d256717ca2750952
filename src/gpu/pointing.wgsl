// Which points are nearest to the cursor? First the least distance, then the few points that have it: two points that
// round to the same are told apart by the processor.

struct Cursor {
    place: vec2<f32>,
    // Squared; nothing farther away is found.
    reach: f32,
    points: u32,
    // Threads of a line of workgroups.
    line: u32,
    unused: u32,
}

struct Found {
    // Bits of the least squared distance: those of positive floats have the order of the floats.
    least: atomic<u32>,
    count: atomic<u32>,
    points: array<u32, 62>,
}

const MOST: u32 = 62u;
// Sums of two squares are rounded differently by processors, to less than this.
const ROUNDED: f32 = 1.00001;

@group(0) @binding(0) var<uniform> cursor: Cursor;
@group(0) @binding(1) var<storage, read> places: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> found: Found;

// Squared distance; a point without a place has none that is within reach.
fn distance_of(point: u32) -> f32 {
    let apart = places[point] - cursor.place;
    return dot(apart, apart);
}

@compute @workgroup_size(64)
fn find_least(@builtin(global_invocation_id) id: vec3<u32>) {
    let point = id.y * cursor.line + id.x;
    if (point >= cursor.points) {
        return;
    }
    let distance = distance_of(point);
    if (distance <= cursor.reach * ROUNDED) {
        atomicMin(&found.least, bitcast<u32>(distance));
    }
}

@compute @workgroup_size(64)
fn name_them(@builtin(global_invocation_id) id: vec3<u32>) {
    let point = id.y * cursor.line + id.x;
    if (point >= cursor.points) {
        return;
    }
    let distance = distance_of(point);
    let least = bitcast<f32>(atomicLoad(&found.least));
    if (distance <= cursor.reach * ROUNDED && distance <= least * ROUNDED) {
        let at = atomicAdd(&found.count, 1u);
        if (at < MOST) {
            found.points[at] = point;
        }
    }
}
