// One triangle per point, just large enough to cover its disc; the corner comes from the vertex index.
struct Look {
    centre: vec2<f32>,
    clip_scale: vec2<f32>,
    radius_clip: vec2<f32>,
    radius_px: f32,
    any_selected: u32,
    opacity: f32,
    faded: f32,
    mask_width: u32,
    unused: u32,
    palette: array<vec4<f32>, 256>,
};

@group(0) @binding(0) var<uniform> look: Look;
// One bit a point, 32 a texel: a texture, because vertex stages may have no storage buffers.
@group(0) @binding(1) var selection: texture_2d<u32>;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) offset: vec2<f32>,
    @location(1) colour: vec4<f32>,
};

const HIDDEN: u32 = 256u;

fn is_selected(point: u32) -> bool {
    let word = point / 32u;
    let texel = textureLoad(selection, vec2<u32>(word % look.mask_width, word / look.mask_width), 0);
    return ((texel.r >> (point % 32u)) & 1u) == 1u;
}

@vertex
fn corner(
    @builtin(vertex_index) vertex: u32,
    @builtin(instance_index) point: u32,
    @location(0) world: vec2<f32>,
    @location(1) code: u32,
) -> Corner {
    // An equilateral triangle whose inscribed circle has radius 1.
    var offset = vec2<f32>(0.0, 2.0);
    if (vertex == 1u) { offset = vec2<f32>(-1.7320508, -1.0); }
    if (vertex == 2u) { offset = vec2<f32>(1.7320508, -1.0); }

    var opacity = look.opacity;
    if (look.any_selected == 1u && !is_selected(point)) { opacity = opacity * look.faded; }

    var out: Corner;
    let clip = (world - look.centre) * look.clip_scale + offset * look.radius_clip;
    out.position = vec4<f32>(clip, 0.0, 1.0);
    // Outside every view: a point without a place is not drawn.
    if (code == HIDDEN) { out.position = vec4<f32>(2.0, 2.0, 0.0, 1.0); }
    out.offset = offset;
    out.colour = vec4<f32>(look.palette[code % 256u].rgb, opacity);
    return out;
}

@fragment
fn disc(in: Corner) -> @location(0) vec4<f32> {
    // The edge fades over one pixel.
    let cover = clamp((1.0 - length(in.offset)) * look.radius_px + 0.5, 0.0, 1.0);
    let alpha = cover * in.colour.a;
    return vec4<f32>(in.colour.rgb * alpha, alpha);
}
