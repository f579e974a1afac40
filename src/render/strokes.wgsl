// Straight strokes over a canvas, whole or dashed, with a halo; edges are a pixel soft.

struct View {
    // The canvas in pixels.
    size: vec2<f32>,
    padding: vec2<f32>,
}

@group(0) @binding(0) var<uniform> view: View;

struct Stroke {
    // From x, y to x, y in canvas pixels.
    @location(0) ends: vec4<f32>,
    // Half its width, how far its halo reaches beyond, the length of a dash, and of a dash with its gap (0: whole).
    @location(1) shape: vec4<f32>,
    // sRGB-encoded, premultiplied.
    @location(2) color: vec4<f32>,
    @location(3) halo: vec4<f32>,
}

struct Fragment {
    @builtin(position) position: vec4<f32>,
    // Pixels along the stroke from its start, and beside it.
    @location(0) at: vec2<f32>,
    @location(1) @interpolate(flat) extent: f32,
    @location(2) @interpolate(flat) shape: vec4<f32>,
    @location(3) @interpolate(flat) color: vec4<f32>,
    @location(4) @interpolate(flat) halo: vec4<f32>,
}

@vertex
fn vs_stroke(stroke: Stroke, @builtin(vertex_index) index: u32) -> Fragment {
    let along = stroke.ends.zw - stroke.ends.xy;
    let extent = max(length(along), 1e-3);
    let direction = along / extent;
    let beside = vec2<f32>(-direction.y, direction.x);
    let reach = stroke.shape.x + stroke.shape.y + 1.0;
    let at = vec2<f32>(select(-1.0, extent + 1.0, (index & 1u) == 1u), select(-reach, reach, (index & 2u) == 2u));
    let pixel = stroke.ends.xy + direction * at.x + beside * at.y;
    var out: Fragment;
    out.position = vec4<f32>(pixel.x / view.size.x * 2.0 - 1.0, 1.0 - pixel.y / view.size.y * 2.0, 0.0, 1.0);
    out.at = at;
    out.extent = extent;
    out.shape = stroke.shape;
    out.color = stroke.color;
    out.halo = stroke.halo;
    return out;
}

// How far a place along the stroke lies within a dash; negative outside.
fn within_dash(at: f32, extent: f32, dash: f32, period: f32) -> f32 {
    let within = min(at, extent - at);
    if period <= 0.0 {
        return within;
    }
    let place = at - floor(at / period) * period;
    // Between two dashes the nearer one counts.
    return min(within, max(min(place, dash - place), place - period));
}

fn painted(in: Fragment) -> vec4<f32> {
    let along = clamp(within_dash(in.at.x, in.extent, in.shape.z, in.shape.w) + 0.5, 0.0, 1.0);
    let beside = abs(in.at.y);
    let stroke = in.color * (along * clamp(in.shape.x - beside + 0.5, 0.0, 1.0));
    let halo = in.halo * (along * clamp(in.shape.x + in.shape.y - beside + 0.5, 0.0, 1.0));
    return stroke + halo * (1.0 - stroke.a);
}

// For targets that take encoded values as they are.
@fragment
fn fs_stroke(in: Fragment) -> @location(0) vec4<f32> {
    return painted(in);
}

// For targets that encode what they are given.
@fragment
fn fs_stroke_srgb(in: Fragment) -> @location(0) vec4<f32> {
    let color = painted(in);
    let encoded = color.rgb / max(color.a, 1e-6);
    let low = encoded / 12.92;
    let high = pow((encoded + 0.055) / 1.055, vec3<f32>(2.4));
    return vec4<f32>(select(high, low, encoded <= vec3<f32>(0.04045)) * color.a, color.a);
}
