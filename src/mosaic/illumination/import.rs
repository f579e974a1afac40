//! Profiles that a user brings: images of the light and of the dark level, of any size.
//!
//! The files are what other programs write and read for this: one picture for all channels, or one for each, in order.
//! A flat counts by its shape alone; a dark level is in the units of the fields' samples.

use super::{Illumination, PROFILE_CELLS, Profile};
use crate::error::{Error, Result};
use crate::formats;
use crate::pixels::{TileFormat, ValueCoding};
use crate::pyramid::{Cancel, FillUnit, ImageInfo, PlaneId, Source, TileKey, UnitSink, WithScratch};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Pixels of a profile image: more than any camera's, and 128 MiB while it is decoded.
pub const MAX_PROFILE_PX: u64 = 64 << 20;

/// Memory for a chunk that does not go through tiles, in bytes.
const MAX_SCRATCH_BYTES: u64 = 256 << 20;

/// Reads profiles for a mosaic of `channels` channels whose stored samples become values as `codings` says, by channel.
///
/// Without a flat the light counts as even, without a dark level as nought.
pub fn import_profiles(
    flat: Option<&Path>,
    dark: Option<&Path>,
    codings: &[ValueCoding],
    cancel: &Cancel,
) -> Result<Illumination> {
    let read = |path: &Path| grids(path, codings.len(), cancel);
    let flats = flat.map(read).transpose()?;
    let darks = dark.map(read).transpose()?;
    let cells = PROFILE_CELLS * PROFILE_CELLS;
    let profiles = codings.iter().enumerate().map(|(channel, coding)| {
        let grid = |grids: &Option<Vec<Vec<f64>>>| grids.as_ref().map(|g| g[channel.min(g.len() - 1)].clone());
        let flat_values = grid(&flats).unwrap_or_else(|| vec![1.0; cells]);
        let dark_values = grid(&darks).unwrap_or_else(|| vec![0.0; cells]);
        let stored = dark_values.iter().map(|&value| coding.stored(value) as f32).collect();
        let profile = Profile::new(flat_values.iter().map(|&v| v as f32).collect(), stored);
        let broken = || {
            let path = flat.or(dark).unwrap_or(Path::new(""));
            Error::format(format!("the profile of channel {} holds no light", channel + 1), path)
        };
        profile.map(|p| Some(Arc::new(p))).ok_or_else(broken)
    });
    Ok(Illumination::new(profiles.collect::<Result<_>>()?))
}

/// The planes of a file as grids of values: one, or as many as there are channels.
fn grids(path: &Path, channels: usize, cancel: &Cancel) -> Result<Vec<Vec<f64>>> {
    let opened = formats::open(path)?;
    let planes: Vec<PlaneId> = opened.source.images().iter().enumerate().flat_map(|(n, i)| planes(n, i)).collect();
    if planes.len() != 1 && planes.len() != channels {
        let what = format!(
            "the profile has {} pictures and the mosaic {channels} channels: bring one for all or one for each",
            planes.len()
        );
        return Err(Error::unsupported(what, path));
    }
    planes.into_iter().map(|plane| grid(&*opened.source, plane, path, cancel)).collect()
}

fn planes(image: usize, info: &ImageInfo) -> impl Iterator<Item = PlaneId> + use<> {
    let (channels, z_count, t_count) = (info.channels.len() as u16, info.z_count, info.t_count);
    (0..t_count)
        .flat_map(move |t| (0..z_count).flat_map(move |z| (0..channels).map(move |channel| (channel, z, t))))
        .map(move |(channel, z, t)| PlaneId { field: image as u32, channel, z, t })
}

/// One plane, resampled to the cells of a profile.
fn grid(source: &dyn Source, plane: PlaneId, path: &Path, cancel: &Cancel) -> Result<Vec<f64>> {
    let info = &source.images()[plane.field as usize];
    if info.size.area() > MAX_PROFILE_PX || info.size.is_empty() {
        return Err(Error::too_large(format!("a profile image of more than {MAX_PROFILE_PX} pixels"), path));
    }
    let format = info.channels[usize::from(plane.channel)].format;
    let coding = source.coding(plane)?;
    let (across, down) = (shares(info.size.width), shares(info.size.height));
    let mut grid = vec![0.0; PROFILE_CELLS * PROFILE_CELLS];
    let tiles = info.tiles(0);
    let mut sink = HeapTiles { info, tiles: BTreeMap::new(), failed: None };
    for (y, x) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (y, x))) {
        cancel.check()?;
        let key = TileKey { plane, level: 0, x, y };
        if !sink.tiles.contains_key(&key) {
            let unit: FillUnit = source.unit_of(key);
            source.read_unit(&unit, &mut sink, cancel)?;
            if let Some(reason) = sink.failed.take() {
                return Err(Error::format(reason, path));
            }
        }
        let Some(tile) = sink.tiles.remove(&key) else {
            return Err(Error::format("a part of the profile image is missing", path));
        };
        let rect = info.tile_rect(key);
        for row in 0..rect.height {
            for column in 0..rect.width {
                let value = value_at(format, &coding, &tile, (row * info.tile_side + column) as usize);
                for &(cell_y, share_y) in &down[(rect.y + row) as usize] {
                    for &(cell_x, share_x) in &across[(rect.x + column) as usize] {
                        grid[cell_y * PROFILE_CELLS + cell_x] += value * share_x * share_y;
                    }
                }
            }
        }
    }
    Ok(grid)
}

fn value_at(format: TileFormat, coding: &ValueCoding, tile: &[u8], pixel: usize) -> f64 {
    let px = &tile[pixel * format.bytes_per_px()..][..format.bytes_per_px()];
    match format {
        TileFormat::Gray16 => coding.value(f64::from(u16::from_ne_bytes([px[0], px[1]]))),
        TileFormat::Gray8 => coding.value(f64::from(px[0])),
        TileFormat::Rgb8 => px.iter().map(|&v| coding.value(f64::from(v))).sum::<f64>() / 3.0,
    }
}

/// For each of `size` pixels in a row the cells it counts for, and how much: a cell is the mean of the pixels under it
/// where they are smaller than cells, and lies on the line between two pixels' centres where they are larger.
fn shares(size: u32) -> Vec<Vec<(usize, f64)>> {
    let mut shares = vec![Vec::new(); size as usize];
    let pitch = f64::from(size) / PROFILE_CELLS as f64;
    let last = size as usize - 1;
    for cell in 0..PROFILE_CELLS {
        let (left, right) = (cell as f64 * pitch, (cell + 1) as f64 * pitch);
        if pitch >= 1.0 {
            let first = left as usize;
            for (pixel, shares) in (first..).zip(&mut shares[first..=(right.ceil() as usize - 1).min(last)]) {
                let covered = right.min((pixel + 1) as f64) - left.max(pixel as f64);
                shares.push((cell, covered / pitch));
            }
        } else {
            let middle = ((left + right) / 2.0 - 0.5).clamp(0.0, last as f64);
            let (before, share) = (middle as usize, middle.fract());
            shares[before].push((cell, 1.0 - share));
            if share > 0.0 {
                shares[before + 1].push((cell, share));
            }
        }
    }
    shares
}

/// Tiles of one unit, on the heap.
struct HeapTiles<'a> {
    info: &'a ImageInfo,
    tiles: BTreeMap<TileKey, Vec<u8>>,
    failed: Option<String>,
}

impl UnitSink for HeapTiles<'_> {
    fn tile_mut(&mut self, key: TileKey) -> Result<&mut [u8]> {
        let bytes = self.info.tile_bytes(key.plane);
        Ok(self.tiles.entry(key).or_insert_with(|| vec![0; bytes]))
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut WithScratch<'_>) -> Result<()> {
        if bytes > MAX_SCRATCH_BYTES {
            return Err(Error::too_large(
                "the profile image is in pieces too large to decode",
                Path::new(&self.info.name),
            ));
        }
        then(&mut vec![0; bytes as usize], self)
    }

    fn fail(&mut self, _: TileKey, reason: String) {
        self.failed.get_or_insert(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geom::Size;

    /// A TIFF of pictures of one size, 16 bit, one page after another, as plain as can be.
    fn written(path: &Path, size: Size, planes: &[&dyn Fn(u32, u32) -> u16]) {
        let mut file = b"II*\0".to_vec();
        let page_bytes = size.area() as u32 * 2;
        for (n, plane) in planes.iter().enumerate() {
            // Every page: where its directory lies, which comes after its pixels, and both.
            file.extend((file.len() as u32 + 4 + page_bytes).to_le_bytes());
            let first = file.len() as u32;
            for (y, x) in (0..size.height).flat_map(|y| (0..size.width).map(move |x| (y, x))) {
                file.extend(plane(x, y).to_le_bytes());
            }
            let entries = [
                (256_u16, size.width),
                (257, size.height),
                (258, 16),
                (259, 1),
                (262, 1),
                (273, first),
                (277, 1),
                (278, size.height),
                (279, page_bytes),
            ];
            file.extend((entries.len() as u16).to_le_bytes());
            for (tag, value) in entries {
                file.extend(tag.to_le_bytes());
                // One number of 32 bits.
                file.extend([4, 0, 1, 0, 0, 0]);
                file.extend(value.to_le_bytes());
            }
            if n + 1 == planes.len() {
                file.extend([0; 4]);
            }
        }
        std::fs::write(path, file).expect("written");
    }

    fn imported(flat: Option<&Path>, dark: Option<&Path>, channels: usize) -> Result<Illumination> {
        import_profiles(flat, dark, &vec![ValueCoding::IDENTITY; channels], &Cancel::default())
    }

    #[test]
    fn a_profile_of_any_size_keeps_its_shape() {
        let folder = tempfile::tempdir().expect("a folder");
        for size in [Size::new(1000, 700), Size::new(128, 128), Size::new(40, 31), Size::new(1, 1)] {
            let path = folder.path().join(format!("{}.tif", size.width));
            let slope = |x: u32, y: u32| {
                let share = |at: u32, size: u32| (f64::from(at) + 0.5) / f64::from(size);
                (20_000.0 + 10_000.0 * share(x, size.width) + 5_000.0 * share(y, size.height)) as u16
            };
            written(&path, size, &[&slope]);
            let light = imported(Some(&path), None, 1).expect("profiles");
            let flat = light.profile(0).expect("a profile").flat();
            // Where pixels are larger than cells, the outermost half pixel is level.
            for (cell_y, cell_x) in [(64, 64), (20, 100), (100, 20)] {
                let share = |cell: usize| (cell as f64 + 0.5) / PROFILE_CELLS as f64;
                let want = if size.width == 1 {
                    1.0
                } else {
                    (20_000.0 + 10_000.0 * share(cell_x) + 5_000.0 * share(cell_y)) / 27_500.0
                };
                let got = f64::from(flat[cell_y * PROFILE_CELLS + cell_x]);
                assert!((got - want).abs() < 1e-3, "{size:?} at {cell_x},{cell_y}: {got} not {want}");
            }
        }
    }

    #[test]
    fn one_picture_serves_all_channels_and_several_serve_one_each() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) = (folder.path().join("one.tif"), folder.path().join("two.tif"));
        let size = Size::new(64, 64);
        written(&one, size, &[&|_, _| 90]);
        written(&two, size, &[&|x, _| 100 + x as u16, &|_, y| 100 + y as u16]);
        let light = imported(Some(&two), Some(&one), 2).expect("profiles");
        let [first, second] = [0, 1].map(|c| light.profile(c).expect("a profile"));
        assert!(first.flat()[127] > 1.1 && second.flat()[127] < 0.9);
        assert!(first.dark().iter().chain(second.dark()).all(|&d| (d - 90.0).abs() < 1e-3));
        assert!(matches!(imported(Some(&two), None, 3), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn a_dark_level_is_in_the_units_of_the_fields_values() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dark.tif");
        written(&path, Size::new(10, 10), &[&|_, _| 90]);
        let signed = ValueCoding { scale: 1.0, offset: -32_768.0, exact: true };
        let light = import_profiles(None, Some(&path), &[signed], &Cancel::default()).expect("profiles");
        assert!(light.profile(0).expect("a profile").dark().iter().all(|&d| (d - 32_858.0).abs() < 0.1));
    }

    #[test]
    fn a_profile_without_light_or_without_a_file_is_refused_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("black.tif");
        written(&path, Size::new(10, 10), &[&|_, _| 0]);
        assert!(matches!(imported(Some(&path), None, 1), Err(Error::Format { .. })));
        assert!(imported(Some(&folder.path().join("nothing.tif")), None, 1).is_err_and(|e| e.is_not_found()));
    }
}
