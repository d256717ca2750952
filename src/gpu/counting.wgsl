// How many points fall into each pixel, and what their colours add up to?
//
// Whole numbers only, and the one sum whose rounding decides over a pixel is kept apart from its product: a product that
// went through an atomic cannot be fused with the sum, so that the pixel is the one that the processor computes.

struct View {
    centre: vec2<f32>,
    half: vec2<f32>,
    size: vec2<u32>,
    zoom: f32,
    points: u32,
    // Threads in a line of workgroups.
    line: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var<uniform> palette: array<vec4<u32>, 256>;
@group(0) @binding(2) var<storage, read> places: array<vec2<f32>>;
// Four palette entries a word.
@group(0) @binding(3) var<storage, read> codes: array<u32>;
// A bit a point: set where it has a place and is to be seen.
@group(0) @binding(4) var<storage, read> seen: array<u32>;
// Of each pixel its points, and the sums of red, green and blue.
@group(0) @binding(5) var<storage, read_write> grid: array<atomic<u32>>;

var<workgroup> products: array<atomic<u32>, 128>;

@compute @workgroup_size(64)
fn count(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) own: u32) {
    let point = id.y * view.line + id.x;
    if (point >= view.points || ((seen[point / 32u] >> (point % 32u)) & 1u) == 0u) {
        return;
    }
    let product = (places[point] - view.centre) * view.zoom;
    atomicStore(&products[2u * own], bitcast<u32>(product.x));
    atomicStore(&products[2u * own + 1u], bitcast<u32>(product.y));
    let x = view.half.x + bitcast<f32>(atomicLoad(&products[2u * own]));
    let y = view.half.y - bitcast<f32>(atomicLoad(&products[2u * own + 1u]));
    if (!(x >= 0.0 && y >= 0.0 && x < f32(view.size.x) && y < f32(view.size.y))) {
        return;
    }
    let pixel = 4u * (u32(y) * view.size.x + u32(x));
    let entry = palette[(codes[point / 4u] >> (8u * (point % 4u))) & 255u];
    atomicAdd(&grid[pixel], entry.x);
    atomicAdd(&grid[pixel + 1u], entry.y);
    atomicAdd(&grid[pixel + 2u], entry.z);
    atomicAdd(&grid[pixel + 3u], entry.w);
}
