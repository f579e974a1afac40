// Draws quads of tiles into the light that a canvas accumulates.
//
// Every fragment finds its place on the image from its own pixel centre, by the same sums for every quad, and is
// kept by the one quad whose half-open rectangle holds that place.
// Quads are drawn a pixel too large so that rasterisation never decides: neighbours share every edge to the last bit at any
// zoom and angle, and additive light is neither doubled nor missing along it.

struct View {
    // Columns of the linear map from screen pixels to level-0 pixels.
    image_from_screen: vec4<f32>,
    // Columns of the map back.
    screen_from_image: vec4<f32>,
    // How far to grow a quad, in level-0 pixels.
    margin: vec2<f32>,
    // From pixels of this target to screen pixels relative to the anchor, which is the camera's centre.
    screen_offset: vec2<f32>,
    target_size: vec2<f32>,
    padding: vec2<f32>,
}

@group(0) @binding(0) var<uniform> view: View;
// Gain and offset of samples, cell by cell, a layer a profile.
@group(0) @binding(1) var light_page: texture_2d_array<f32>;
@group(1) @binding(0) var page: texture_2d_array<f32>;
@group(1) @binding(1) var smooth_sampler: sampler;
@group(1) @binding(2) var page_uint: texture_2d_array<u32>;

struct Quad {
    // Left, top, right, bottom in level-0 pixels relative to the anchor.
    @location(0) rect: vec4<f32>,
    // Texels a level-0 pixel (x, y), and the texel place of the anchor.
    @location(1) texel: vec4<f32>,
    // Value shown black, 1 / (range), 1 / gamma, opacity.
    @location(2) curve: vec4<f32>,
    // Colour times weight.
    @location(3) color: vec4<f32>,
    // Layer of the page, 1 for nearest-neighbour, 1 + layer of light, bits of the unit of its offsets.
    @location(4) layer: vec4<u32>,
    // The least and the greatest texel place that is sampled: what lies beyond is no image.
    @location(5) samples: vec4<f32>,
    // Cells of light a level-0 pixel (x, y), and the cell place of the anchor.
    @location(6) light: vec4<f32>,
}

struct Fragment {
    @builtin(position) position: vec4<f32>,
    @location(0) @interpolate(flat) rect: vec4<f32>,
    @location(1) @interpolate(flat) texel: vec4<f32>,
    @location(2) @interpolate(flat) curve: vec4<f32>,
    @location(3) @interpolate(flat) color: vec4<f32>,
    @location(4) @interpolate(flat) layer: vec4<u32>,
    @location(5) @interpolate(flat) samples: vec4<f32>,
    @location(6) @interpolate(flat) light: vec4<f32>,
}

@vertex
fn vs_quad(@builtin(vertex_index) index: u32, quad: Quad) -> Fragment {
    let right = (index & 1u) == 1u;
    let bottom = (index & 2u) == 2u;
    let place = vec2<f32>(
        select(quad.rect.x - view.margin.x, quad.rect.z + view.margin.x, right),
        select(quad.rect.y - view.margin.y, quad.rect.w + view.margin.y, bottom),
    );
    let map = view.screen_from_image;
    let screen = map.xy * place.x + map.zw * place.y - view.screen_offset;
    let clip = screen / view.target_size * 2.0 - 1.0;
    var out: Fragment;
    out.position = vec4<f32>(clip.x, -clip.y, 0.0, 1.0);
    out.rect = quad.rect;
    out.texel = quad.texel;
    out.curve = quad.curve;
    out.color = quad.color;
    out.layer = quad.layer;
    out.samples = quad.samples;
    out.light = quad.light;
    return out;
}

// The place of a fragment on level 0, relative to the anchor.
fn place_of(position: vec4<f32>) -> vec2<f32> {
    let screen = position.xy + view.screen_offset;
    let map = view.image_from_screen;
    return fma(map.xy, vec2<f32>(screen.x), map.zw * screen.y);
}

fn owns(rect: vec4<f32>, place: vec2<f32>) -> bool {
    return all(place >= rect.xy) && all(place < rect.zw);
}

fn texel_of(in: Fragment, place: vec2<f32>) -> vec2<f32> {
    return clamp(fma(place, in.texel.xy, in.texel.zw), in.samples.xy, in.samples.zw);
}

fn sample_page(at: vec2<f32>, layer: vec4<u32>) -> vec4<f32> {
    if layer.y == 1u {
        return textureLoad(page, vec2<i32>(floor(at)), layer.x, 0);
    }
    let size = vec2<f32>(textureDimensions(page).xy);
    return textureSampleLevel(page, smooth_sampler, at / size, layer.x, 0.0);
}

fn load_uint(at: vec2<i32>, layer: u32) -> f32 {
    let last = vec2<i32>(textureDimensions(page_uint).xy) - 1;
    return f32(textureLoad(page_uint, clamp(at, vec2<i32>(0), last), layer, 0).r);
}

fn sample_page_uint(at: vec2<f32>, layer: vec4<u32>) -> f32 {
    if layer.y == 1u {
        return load_uint(vec2<i32>(floor(at)), layer.x);
    }
    let corner = floor(at - 0.5);
    let share = at - 0.5 - corner;
    let i = vec2<i32>(corner);
    let top = mix(load_uint(i, layer.x), load_uint(i + vec2<i32>(1, 0), layer.x), share.x);
    let bottom = mix(load_uint(i + vec2<i32>(0, 1), layer.x), load_uint(i + vec2<i32>(1, 1), layer.x), share.x);
    return mix(top, bottom, share.y);
}

fn light_cell(cell: vec2<i32>, layer: i32) -> vec2<f32> {
    let last = vec2<i32>(textureDimensions(light_page).xy) - 1;
    return textureLoad(light_page, clamp(cell, vec2<i32>(0), last), layer, 0).rg;
}

// What a sample of a field is multiplied by, and what is added then: linear between cells, level beyond the outermost.
fn light_at(in: Fragment, place: vec2<f32>) -> vec2<f32> {
    if in.layer.z == 0u {
        return vec2<f32>(1.0, 0.0);
    }
    let at = fma(place, in.light.xy, in.light.zw) - 0.5;
    let corner = floor(at);
    let share = at - corner;
    let i = vec2<i32>(corner);
    let layer = i32(in.layer.z) - 1;
    let top = mix(light_cell(i, layer), light_cell(i + vec2<i32>(1, 0), layer), share.x);
    let bottom = mix(light_cell(i + vec2<i32>(0, 1), layer), light_cell(i + vec2<i32>(1, 1), layer), share.x);
    let light = mix(top, bottom, share.y);
    return vec2<f32>(light.x, light.y * bitcast<f32>(in.layer.w));
}

fn shown(value: f32, curve: vec4<f32>) -> f32 {
    let linear = clamp((value - curve.x) * curve.y, 0.0, 1.0);
    // The power of one is not exact everywhere.
    if curve.z == 1.0 {
        return linear;
    }
    return pow(linear, curve.z);
}

// Light of a channel. Alpha says that there is image here; the blend keeps the greatest.
@fragment
fn fs_gray(in: Fragment) -> @location(0) vec4<f32> {
    let place = place_of(in.position);
    if !owns(in.rect, place) {
        discard;
    }
    let light = light_at(in, place);
    let value = sample_page(texel_of(in, place), in.layer).r * light.x + light.y;
    return vec4<f32>(in.color.rgb * (shown(value, in.curve) * in.curve.w), 1.0);
}

@fragment
fn fs_gray_uint(in: Fragment) -> @location(0) vec4<f32> {
    let place = place_of(in.position);
    if !owns(in.rect, place) {
        discard;
    }
    let light = light_at(in, place);
    let value = sample_page_uint(texel_of(in, place), in.layer) * light.x + light.y;
    return vec4<f32>(in.color.rgb * (shown(value, in.curve) * in.curve.w), 1.0);
}

@fragment
fn fs_rgb(in: Fragment) -> @location(0) vec4<f32> {
    let place = place_of(in.position);
    if !owns(in.rect, place) {
        discard;
    }
    let even = light_at(in, place);
    let value = sample_page(texel_of(in, place), in.layer).rgb * even.x + even.y;
    let light = vec3<f32>(shown(value.r, in.curve), shown(value.g, in.curve), shown(value.b, in.curve));
    return vec4<f32>(in.color.rgb * light * in.curve.w, 1.0);
}

// The share of the image that an alpha channel leaves; the blend multiplies the canvas's alpha by it.
@fragment
fn fs_coverage(in: Fragment) -> @location(0) vec4<f32> {
    let place = place_of(in.position);
    if !owns(in.rect, place) {
        discard;
    }
    return vec4<f32>(0.0, 0.0, 0.0, shown(sample_page(texel_of(in, place), in.layer).r, in.curve));
}

@fragment
fn fs_coverage_uint(in: Fragment) -> @location(0) vec4<f32> {
    let place = place_of(in.position);
    if !owns(in.rect, place) {
        discard;
    }
    return vec4<f32>(0.0, 0.0, 0.0, shown(sample_page_uint(texel_of(in, place), in.layer), in.curve));
}

// Diagonal lines that stand for a tile that cannot be read, fixed to the screen.
@fragment
fn fs_hatch(in: Fragment) -> @location(0) vec4<f32> {
    let place = place_of(in.position);
    if !owns(in.rect, place) {
        discard;
    }
    let across = floor(in.position.x + view.screen_offset.x) + floor(in.position.y + view.screen_offset.y);
    let phase = across - floor(across / 12.0) * 12.0;
    let gray = select(0.16, 0.46, phase < 2.0);
    return vec4<f32>(vec3<f32>(gray), 1.0);
}
