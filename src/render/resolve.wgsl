// Puts the light of a canvas over its background, pixel by pixel, clipped in sRGB-encoded values.

struct Resolve {
    // The canvas where no image is, sRGB-encoded.
    background: vec4<f32>,
    size: vec2<f32>,
    padding: vec2<f32>,
}

@group(0) @binding(0) var<uniform> settings: Resolve;
@group(0) @binding(1) var light: texture_2d<f32>;

struct Fragment {
    @builtin(position) position: vec4<f32>,
    @location(0) uv: vec2<f32>,
}

// One triangle that covers the viewport.
@vertex
fn vs_cover(@builtin(vertex_index) index: u32) -> Fragment {
    let uv = vec2<f32>(f32((index << 1u) & 2u), f32(index & 2u));
    var out: Fragment;
    out.position = vec4<f32>(uv.x * 2.0 - 1.0, 1.0 - uv.y * 2.0, 0.0, 1.0);
    out.uv = uv;
    return out;
}

fn resolved(uv: vec2<f32>) -> vec3<f32> {
    let last = vec2<i32>(settings.size) - 1;
    let pixel = textureLoad(light, clamp(vec2<i32>(floor(uv * settings.size)), vec2<i32>(0), last), 0);
    let color = clamp(pixel.rgb, vec3<f32>(0.0), vec3<f32>(1.0));
    return mix(settings.background.rgb, color, clamp(pixel.a, 0.0, 1.0));
}

// For targets that take encoded values as they are.
@fragment
fn fs_resolve(in: Fragment) -> @location(0) vec4<f32> {
    return vec4<f32>(resolved(in.uv), 1.0);
}

// For targets that encode what they are given.
@fragment
fn fs_resolve_srgb(in: Fragment) -> @location(0) vec4<f32> {
    let encoded = resolved(in.uv);
    let low = encoded / 12.92;
    let high = pow((encoded + 0.055) / 1.055, vec3<f32>(2.4));
    return vec4<f32>(select(high, low, encoded <= vec3<f32>(0.04045)), 1.0);
}
