//! `microtome stitch`: a folder of overlapping fields becomes one image.

use super::entries;
use super::interrupt::cancel_on_signal;
use super::layout_arg::{LayoutArg, laid_out};
use super::{Context, check_not_source, check_output, progress::Progress};
use crate::engine::{MosaicEdits, OpenSet, Opening, WorkPool, work_pool};
use crate::error::{Error, Result};
use crate::export::{ImagePart, MosaicBands, OmeTiffOptions, Original, TileCompression, write_ome_tiff};
use crate::geom::Size;
use crate::image_set::positions::{self, NamedPlace, PositionsFormat};
use crate::image_set::{self, Entry, FieldSet, GridLayout, Layout, LeftOut};
use crate::mosaic::illumination::{
    LightEstimate, LightTold, PyramidFields, accepted_overlaps, estimate as estimate_light, overlaps_of_places,
};
use crate::mosaic::{
    AlignOptions, AlignWatch, Aligner, Alignment, Blend, Fuser, Geometry, HandWork, MOSAIC, MaxShift, Placement,
    Verdict,
};
use crate::pyramid::{Cancel, SetId};
use crate::stitch::solve::Start;
use crate::store::{Destination, Existing, write_whole};
use clap::{Args, ValueEnum};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Finds where overlapping fields stand and puts them together.
///
/// PATH is a folder of fields, or one mosaic of a folder that holds several (`plate/B03`).
/// Where a folder holds several mosaics (wells, scenes) each is aligned by itself: the lists hold the fields of all, each
/// mosaic in coordinates of its own and named in a column `well`, and the images are named after them
/// (`OUT-B03.ome.tif`).
///
/// Fields stay where the layout says, and the command says so, where overlaps show nothing to align by.
/// A grid whose overlap and order are only guessed is not written then (exit code 1) unless --no-align asks for it.
///
/// Without -o, --positions and --report the places go to standard output.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct StitchArgs {
    /// The folder.
    path: PathBuf,
    /// The image to write: a pyramidal OME-TIFF.
    #[arg(short, long, value_name = "OUT.ome.tif")]
    output: Option<PathBuf>,
    /// Write the places as CSV (file,row,col,x,y: pixels, top-left corners; well where there are several mosaics), or as
    /// Fiji reads them where the name ends in .txt (TileConfiguration.registered.txt). They count from where the layout
    /// does, to fractions of a pixel; the image begins at the least of them.
    #[arg(long, value_name = "P.csv")]
    positions: Option<PathBuf>,
    /// Write what was measured as JSON.
    #[arg(long, value_name = "R.json")]
    report: Option<PathBuf>,
    /// Align by this channel, by number from 1 or by name; by default the one with the best texture, nuclei preferred.
    #[arg(long, value_name = "C")]
    align_channel: Option<String>,
    /// The staining round to put together, from 1: rounds are not registered to one another.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    round: u16,
    /// How far a field may be from its place: 30, 30px or 15um; by default 5 % of its side, at least 16 px.
    #[arg(long, value_name = "PX|UM", value_parser = parse_max_shift)]
    max_shift: Option<MaxShift>,
    /// Correct the layout: ROWSxCOLUMNS, snake or raster, rows or columns (which way the scan goes first), top-left,
    /// top-right, bottom-left or bottom-right (where it starts) and the overlap (10% or 10%x5%), in any order with commas
    /// between them; or a file of places (CSV, TileConfiguration.txt).
    #[arg(long, value_name = "LAYOUT|FILE", value_parser = LayoutArg::from_str)]
    layout: Option<LayoutArg>,
    /// How overlaps are put together.
    #[arg(long, value_enum, default_value_t = BlendArg::Feather)]
    blend: BlendArg,
    /// Stand fields on fractions of a pixel, which samples them anew; by default they stand on whole pixels.
    #[arg(long)]
    sub_pixel: bool,
    /// How the image is packed.
    #[arg(long, value_enum, default_value_t = PackingArg::Deflate)]
    compression: PackingArg,
    /// Even out the light of each channel where that makes overlaps agree better; samples are not the stored ones then.
    #[arg(long)]
    even_illumination: bool,
    /// Put the fields where the layout says, without measuring.
    #[arg(long)]
    no_align: bool,
    /// Read nothing back of the written image.
    #[arg(long)]
    no_verify: bool,
    /// Replace files that are already there.
    #[arg(long)]
    force: bool,
}

impl StitchArgs {
    /// As if nothing but a folder were given.
    pub(super) fn plain(path: PathBuf) -> Self {
        Self {
            path,
            output: None,
            positions: None,
            report: None,
            align_channel: None,
            round: 1,
            max_shift: None,
            layout: None,
            blend: BlendArg::Feather,
            sub_pixel: false,
            compression: PackingArg::Deflate,
            even_illumination: false,
            no_align: false,
            no_verify: false,
            force: false,
        }
    }
}

/// A choice of `--blend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BlendArg {
    /// A soft step at the seam, every other pixel one field's own.
    Feather,
    /// Weighted over the whole overlap.
    Linear,
    /// The mean.
    Average,
    /// The greatest.
    Max,
    /// A hard step at the seam.
    None,
}

/// A choice of `--compression`: lossless ones only, stitched samples are for measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PackingArg {
    /// As they are.
    None,
    /// Read by everything.
    Lzw,
    /// Small, read by everything.
    Deflate,
    /// Small and fast, read by recent programs.
    Zstd,
}

/// Files that are left out and told by name, for each reason.
const MAX_NAMED_LEFT_OUT: usize = 5;

/// What every part of a run needs.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) context: &'a Context,
    pub(super) args: &'a StitchArgs,
    pub(super) pool: &'a WorkPool,
    pub(super) cancel: &'a Cancel,
}

/// One mosaic, aligned.
pub(super) struct Stitched {
    set: Arc<FieldSet>,
    open: OpenSet,
    pub(super) alignment: Alignment,
    max_shift_words: String,
}

/// Runs the command.
pub fn run(context: &Context, args: &StitchArgs) -> Result<()> {
    let sets = sets_of(args)?;
    let outputs: Vec<Option<PathBuf>> =
        sets.iter().map(|set| args.output.as_deref().map(|output| output_of(output, set, sets.len()))).collect();
    for output in outputs.iter().flatten() {
        if !is_tiff(output) {
            return Err(Error::unsupported("the image to write must end in .ome.tif, .tif or .tiff", output));
        }
    }
    if let Some(list) = args.positions.as_ref().filter(|list| sets.len() > 1 && is_list(list)) {
        let what = format!(
            "a list in Fiji's format holds one mosaic and there are {} here: let the name end in .csv, or name one of them \
             as in {}",
            sets.len(),
            sets[0].path.display()
        );
        return Err(Error::unsupported(what, list));
    }
    let files: Vec<&PathBuf> = outputs.iter().flatten().chain(&args.positions).chain(&args.report).collect();
    for (n, file) in files.iter().enumerate() {
        if files[..n].iter().any(|other| is_same_file(other, file)) {
            return Err(Error::unsupported("two of the files to write are one, choose another name", file));
        }
        check_output(&args.path, file, args.force)?;
        check_not_source(file, sets.iter().flat_map(|set| &set.files).map(PathBuf::as_path))?;
    }
    let pool = work_pool(context.config.threads)?;
    let job = Job { context, args, pool: &pool, cancel: &cancel_on_signal()? };

    let mut places: Vec<NamedPlace> = Vec::new();
    let mut reports = Vec::new();
    let mut refused = None;
    for (set, output) in sets.iter().zip(&outputs) {
        say_decisions(context, set);
        let stitched = job.align(set)?;
        say_outcome(&stitched, sets.len() > 1);
        let is_refused = match &stitched.alignment.verdict {
            Verdict::NotAligned(why) => is_guess(&stitched.set).then(|| why.clone()),
            Verdict::Aligned | Verdict::Nominal => None,
        };
        let mut light = None;
        match (is_refused, output) {
            (Some(why), _) => {
                let what =
                    format!("not aligned, since {why}; correct it with --layout, or take it as it is with --no-align");
                refused.get_or_insert(Error::unsupported(what, &set.path));
            }
            (None, output) => {
                let well = (sets.len() > 1).then(|| stitched.set.name.clone());
                let lines = positions::lines_of(&stitched.set, &stitched.alignment.positions);
                places.extend(lines.into_iter().map(|line| NamedPlace { well: well.clone(), ..line }));
                if let Some(output) = output {
                    light = job.fuse(&stitched, output)?;
                    wrote(output);
                }
            }
        }
        reports.push(report_of(&stitched, light)?);
    }
    if let Some(file) = &args.report {
        write_report(file, reports)?;
        wrote(file);
    }
    // What could not be aligned is told by the exit code; what could is written all the same.
    if !places.is_empty() {
        write_places(args, &places)?;
    }
    refused.map_or(Ok(()), Err)
}

/// The mosaics of the path, laid out as asked.
pub(super) fn sets_of(args: &StitchArgs) -> Result<Vec<Arc<FieldSet>>> {
    let image_set::Resolved { entries, left_out } = image_set::resolve(&args.path)?;
    let single = entries.iter().filter(|entry| matches!(entry, Entry::File(_))).count();
    let sets: Vec<Arc<FieldSet>> = entries
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Fields(set) => Some(set),
            Entry::File(_) => None,
        })
        .collect();
    if sets.is_empty() {
        let what = "nothing here says that these images are fields of one mosaic: stage positions, a layout file \
                    (--layout FILE) or names with rows and columns";
        return Err(Error::unsupported(what, &args.path));
    }
    say_left_out(left_out.iter().chain(sets.iter().flat_map(|set| &set.left_out)));
    if single > 0 {
        note(&format!(
            "left out: {}",
            counted(single, "image that is no field of a mosaic", "images that are no fields")
        ));
    }
    let lay_out = |set: Arc<FieldSet>| {
        let Some(layout) = &args.layout else { return Ok(set) };
        let (set, left_out) = laid_out(&set, layout)?;
        if left_out > 0 {
            note(&format!("{left_out} fields that the layout does not name are left out"));
        }
        if let (LayoutArg::Grid(_), Layout::Grid(grid)) = (layout, &set.layout) {
            let (cells, fields) = (u64::from(grid.rows) * u64::from(grid.columns), set.fields.len() as u64);
            if cells > fields {
                let GridLayout { rows, columns, .. } = grid;
                note(&format!(
                    "the layout has {rows} x {columns} places, and there are {fields} fields: the rest is empty"
                ));
            }
        }
        Ok(Arc::new(set))
    };
    sets.into_iter().map(lay_out).collect()
}

impl Job<'_> {
    pub(super) fn align(&self, set: &Arc<FieldSet>) -> Result<Stitched> {
        let Self { context, args, pool, cancel } = *self;
        let how = Opening { id: SetId(1), quota: &context.config.quota()?, persist: context.config.persist() };
        let open = OpenSet::open_fields(&how, set, String::new(), MosaicEdits::default(), false)?;
        let round = args.round - 1;
        if set.channels.iter().all(|c| c.round != round) {
            return Err(Error::unsupported(format!("there is no round {} in this set", args.round), &set.path));
        }
        let channel = args.align_channel.as_ref().map(|asked| channel_of(set, asked)).transpose()?;
        if let Some(other) = channel.map(|c| set.channels[usize::from(c)].round).filter(|&other| other != round) {
            let what = format!("the channel to align by is one of round {0}, add --round {0}", other + 1);
            return Err(Error::unsupported(what, &set.path));
        }
        let options = AlignOptions { channel, max_shift: args.max_shift, keep_layout: args.layout.is_some() };
        let mut aligner = Aligner::new(set, options)?.of_round(round);
        if !args.no_align {
            let progress = Progress::new(context.progress, "Aligning");
            let measured = aligner.measure(&open.pyramid, pool, &Shown(&progress), cancel);
            progress.finish();
            measured?;
        }
        let alignment = aligner.solve(&HandWork::default(), Start::Cold);
        // Rows and columns as they were found, not as they were guessed.
        let set = match (alignment.grid, &set.layout) {
            (Some(found), Layout::Grid(given)) if found != *given => Arc::new(set.with_layout(found)?),
            _ => Arc::clone(set),
        };
        Ok(Stitched { set, open, alignment, max_shift_words: aligner.max_shift_words() })
    }

    /// Writes the mosaic; what was found of the light comes back, where it was asked for.
    pub(super) fn fuse(&self, stitched: &Stitched, output: &Path) -> Result<Option<LightEstimate>> {
        let Self { context, args, pool, cancel } = *self;
        let Stitched { set, open, alignment, .. } = stitched;
        let sizes: Vec<Size> = set.fields.iter().map(|f| f.size).collect();
        let blend = match args.blend {
            BlendArg::Feather => Blend::Feather,
            BlendArg::Linear => Blend::Linear,
            BlendArg::Average => Blend::Average,
            BlendArg::Max => Blend::Maximum,
            BlendArg::None => Blend::None,
        };
        let placement = if args.sub_pixel { Placement::SubPixel } else { Placement::Whole };
        let positions = &alignment.positions;
        let geometry = Arc::new(Geometry::new(1, positions, positions, &sizes, blend, placement, 0.0)?);
        let light = if args.even_illumination { Some(self.light_of(stitched)?) } else { None };
        let info = geometry
            .image_info(&set.name, open.pyramid.source().images())
            .ok_or_else(|| Error::unsupported("there is no field in this set", &set.path))?;
        let round = args.round - 1;
        let mut what = ImagePart { region: geometry.extent, ..ImagePart::whole(MOSAIC, &info) };
        what.channels.retain(|&c| set.channels.get(usize::from(c)).is_some_and(|c| c.round == round));
        let told = light.as_ref().map_or_else(LightTold::default, |light| light_told(light, set, &what.channels));
        told.lines().iter().for_each(|line| note(line));
        let illumination = light.as_ref().map(|light| Arc::new(light.illumination.clone()));
        let fuser = Fuser::new(&open.pyramid, Arc::clone(&geometry), illumination);
        let bands = MosaicBands::new(fuser, &info, what, info.um_per_px, &set.path)?;
        let verdict = match alignment.verdict {
            Verdict::Aligned => "aligned",
            Verdict::Nominal | Verdict::NotAligned(_) => "as the layout says",
        };
        let mut notes = vec![("Positions".to_owned(), verdict.to_owned())];
        notes.extend(told.notes());
        let options = OmeTiffOptions {
            compression: match args.compression {
                PackingArg::None => TileCompression::None,
                PackingArg::Lzw => TileCompression::Lzw,
                PackingArg::Deflate => TileCompression::Deflate,
                PackingArg::Zstd => TileCompression::Zstd,
            },
            verify: !args.no_verify,
            original: Original { notes, ..Original::default() },
        };
        let progress = Progress::new(context.progress, "Putting together");
        let to = Destination { path: output, existing: Existing::replaced_if(args.force) };
        let written = write_ome_tiff(&bands, &options, to, pool, &mut |done, total| progress.set(done, total), cancel);
        progress.finish();
        if written?.unreadable_parts > 0 {
            note("some fields cannot be read in part; those parts are left empty");
        }
        Ok(light)
    }

    /// The light of the mosaic's channels, kept where it helps.
    pub(super) fn light_of(&self, stitched: &Stitched) -> Result<LightEstimate> {
        let Stitched { set, open, alignment, .. } = stitched;
        let channels = u16::try_from(set.channels.len()).unwrap_or(u16::MAX);
        let overlaps = match (&alignment.verdict, &self.args.layout) {
            (Verdict::Aligned, _) => accepted_overlaps(alignment, &HandWork::default()),
            // Places that were brought in a file are believed.
            (Verdict::Nominal, Some(LayoutArg::File(_))) => {
                let (places, sizes) =
                    set.fields.iter().map(|f| (Some(f.nominal), f.size)).unzip::<_, _, Vec<_>, Vec<_>>();
                overlaps_of_places(&places, &sizes)
            }
            (Verdict::Nominal | Verdict::NotAligned(_), _) => {
                return Ok(LightEstimate::nothing(channels, LightTold::NOT_ALIGNED));
            }
        };
        let fields = PyramidFields { pyramid: &open.pyramid, z: set.z_count / 2, t: 0, cancel: self.cancel };
        let progress = Progress::new(self.context.progress, "Estimating the light");
        let watch = |done: u64, total: u64| {
            progress.set(done, total);
            Ok(())
        };
        let estimated = estimate_light(&fields, &overlaps, channels, self.pool, &watch);
        progress.finish();
        estimated
    }
}

/// What becomes of the light of some channels.
fn light_told(light: &LightEstimate, set: &FieldSet, channels: &[u16]) -> LightTold {
    let name = |&channel: &u16| (channel, set.channels.get(usize::from(channel)).map_or("", |c| c.name.as_str()));
    let named: Vec<(u16, &str)> = channels.iter().map(name).collect();
    LightTold::of(&named, Some(&light.illumination), &|channel| LightTold::why_not(&light.channels, channel))
}

/// Whether the places are nothing but a guess from names: what the overlaps do not confirm is not shown as finished.
fn is_guess(set: &FieldSet) -> bool {
    matches!(set.layout, Layout::Grid(_))
}

/// The channel that is named, by number from 1 or by name.
fn channel_of(set: &FieldSet, asked: &str) -> Result<u16> {
    let asked = asked.trim();
    let by_name = set.channels.iter().position(|c| c.name.eq_ignore_ascii_case(asked));
    let by_number = || asked.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    by_name
        .or_else(by_number)
        .filter(|&n| n < set.channels.len())
        .and_then(|n| u16::try_from(n).ok())
        .ok_or_else(|| Error::unsupported(format!("there is no channel \"{asked}\" in this set"), &set.path))
}

/// What came of the alignment, for people: on standard error.
fn say_outcome(stitched: &Stitched, is_one_of_several: bool) {
    let Stitched { set, alignment, .. } = stitched;
    let name = if is_one_of_several { format!("{}: ", set.name) } else { String::new() };
    let rounds = set.channels.iter().map(|c| c.round).max().unwrap_or(0);
    if rounds > 0 {
        note(&format!("{name}{} rounds, not registered to one another: one is put together, see --round", rounds + 1));
    }
    for finding in &alignment.findings {
        note(&format!("{name}{finding}"));
    }
    let report = &alignment.report;
    match &alignment.verdict {
        Verdict::Nominal => note(&format!("{name}fields stand where the layout says")),
        Verdict::NotAligned(why) => note(&format!("{name}not aligned: {why}; fields stand where the layout says")),
        Verdict::Aligned => {
            let px = |v: f64| if v < 0.01 { "under 0.01 px".to_owned() } else { format!("{v:.2} px") };
            let by_stage = match report.placed_by_stage {
                0 => String::new(),
                1 => "; 1 field stands where the stage says".to_owned(),
                n => format!("; {n} fields stand where the stage says"),
            };
            let alone = match report.accepted_alone {
                0 => String::new(),
                1 => "; 1 of them alone holds what it joins, with no other to disagree with".to_owned(),
                n => format!("; {n} of them alone hold what they join, with no other to disagree with"),
            };
            let disagree = match (report.residual_p50_px, report.residual_p95_px) {
                (Some(p50), Some(p95)) => format!(", they disagree by {} (median) and {} (95 %)", px(p50), px(p95)),
                _ => String::new(),
            };
            note(&format!(
                "{name}{} fields, {} of {} overlaps count{disagree}{alone}{by_stage}; shifts up to {} were searched",
                report.fields.len(),
                report.accepted,
                report.edges.len(),
                stitched.max_shift_words
            ));
        }
    }
}

/// "1 field", "2 fields".
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn wrote(file: &Path) {
    note(&format!("wrote {}", file.display()));
}

/// Says how many files of the folder are part of no mosaic, and why.
fn say_left_out<'a>(left_out: impl Iterator<Item = &'a LeftOut>) {
    // A file may be told of by its set and by its folder.
    let mut files = BTreeMap::<&str, BTreeSet<&Path>>::new();
    for file in left_out {
        files.entry(file.reason.as_str()).or_default().insert(&file.path);
    }
    for (reason, files) in files {
        let name = |path: &&Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let mut names: Vec<String> = files.iter().take(MAX_NAMED_LEFT_OUT).map(name).collect();
        if files.len() > names.len() {
            names.push(format!("{} more", files.len() - names.len()));
        }
        note(&format!("left out: {} ({reason})", names.join(", ")));
    }
}

/// Says that what a person decided in the window plays no part: the same fields give the same file on every machine.
fn say_decisions(context: &Context, set: &Arc<FieldSet>) {
    let edits = entries::decided(context, set).edits;
    if edits.hand != HandWork::default() || edits.positions.is_some() || edits.layout.is_some() {
        note(
            "what was decided by hand in the window is not used; `microtome export` writes the mosaic as the window shows it",
        );
    }
}

fn note(text: &str) {
    eprintln!("microtome: {text}");
}

/// The report of one mosaic: no times, the same from run to run.
fn report_of(stitched: &Stitched, light: Option<LightEstimate>) -> Result<serde_json::Value> {
    let Stitched { set, alignment, .. } = stitched;
    let failed = |e: serde_json::Error| Error::format(format!("the report cannot be written: {e}"), &set.path);
    let mut report = serde_json::to_value(alignment.report.as_ref()).map_err(failed)?;
    if let Some(report) = report.as_object_mut() {
        let (verdict, why) = match &alignment.verdict {
            Verdict::Aligned => ("aligned", None),
            Verdict::Nominal => ("nominal", None),
            Verdict::NotAligned(why) => ("not_aligned", Some(why.as_str())),
        };
        let channel = set.channels.get(usize::from(alignment.channel)).map(|c| c.name.as_str());
        report.insert("name".into(), set.name.as_str().into());
        report.insert("recognised_by".into(), set.evidence.as_str().into());
        report.insert("verdict".into(), verdict.into());
        report.insert("why".into(), why.into());
        report.insert("align_channel".into(), channel.into());
        report.insert("findings".into(), alignment.findings.clone().into());
        if let Some(light) = light {
            report.insert("illumination".into(), serde_json::to_value(&light.channels).map_err(failed)?);
        }
    }
    Ok(report)
}

fn write_report(file: &Path, mut reports: Vec<serde_json::Value>) -> Result<()> {
    let report = match reports.len() {
        1 => reports.remove(0),
        _ => serde_json::json!({ "sets": reports }),
    };
    write_whole(file, format!("{report:#}\n").as_bytes(), "cannot write the report")
}

fn write_places(args: &StitchArgs, places: &[NamedPlace]) -> Result<()> {
    match &args.positions {
        Some(file) => {
            let format = if is_list(file) { PositionsFormat::TileConfiguration } else { PositionsFormat::Csv };
            positions::write(file, format, places)?;
            wrote(file);
            Ok(())
        }
        None if args.output.is_none() && args.report.is_none() => {
            let text = positions::to_text(PositionsFormat::Csv, places);
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes())
                .and_then(|()| out.flush())
                .map_err(|e| Error::io("cannot write the places", e, Path::new("standard output")))
        }
        None => Ok(()),
    }
}

/// Whether a list of places is to be Fiji's.
fn is_list(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"))
}

/// The name of one mosaic's image: its own where there are several.
fn output_of(output: &Path, set: &FieldSet, sets: usize) -> PathBuf {
    if sets == 1 {
        return output.to_owned();
    }
    let name = output.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let ending = [".ome.tiff", ".ome.tif", ".tiff", ".tif"].into_iter().find(|e| lower.ends_with(e)).unwrap_or("");
    let (stem, ending) = name.split_at(name.len() - ending.len());
    let of_set: String =
        set.name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    output.with_file_name(format!("{stem}-{of_set}{ending}"))
}

/// Whether two names are of one file, which may not be there yet.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let folder = |path: &Path| {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        folder.canonicalize().ok()
    };
    a == b || (a.file_name() == b.file_name() && folder(a).is_some() && folder(a) == folder(b))
}

fn is_tiff(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("tif") || e.eq_ignore_ascii_case("tiff"))
}

/// Reads `30`, `30px`, `15um` or `15µm`.
fn parse_max_shift(text: &str) -> std::result::Result<MaxShift, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic() || c == 'µ');
    let number: f64 = digits.trim().parse().map_err(|_| format!("{text} is no length, write it as in 30px or 15um"))?;
    if !(number.is_finite() && number > 0.0) {
        return Err("the largest shift must be more than 0".to_owned());
    }
    match text[digits.len()..].to_lowercase().as_str() {
        "" | "px" => Ok(MaxShift::Px(number)),
        "um" | "µm" | "μm" => Ok(MaxShift::Um(number)),
        unit => Err(format!("{unit} is no unit of length here, use px or um")),
    }
}

/// Shows how far an alignment is.
struct Shown<'a>(&'a Progress);

impl AlignWatch for Shown<'_> {
    fn progress(&self, done: u64, total: u64) -> Result<()> {
        self.0.set(done, total);
        Ok(())
    }

    fn provisional(&self, _: Alignment) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_largest_shift_has_a_unit_or_is_in_pixels() {
        assert_eq!(parse_max_shift("30"), Ok(MaxShift::Px(30.0)));
        assert_eq!(parse_max_shift("12.5 px"), Ok(MaxShift::Px(12.5)));
        assert_eq!(parse_max_shift("15um"), Ok(MaxShift::Um(15.0)));
        assert_eq!(parse_max_shift("15µm"), Ok(MaxShift::Um(15.0)));
        for wrong in ["", "px", "-3", "0", "3mm", "nan"] {
            assert!(parse_max_shift(wrong).is_err(), "{wrong}");
        }
    }
}
