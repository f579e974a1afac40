//! Microtome: a viewer for tissue images that are larger than memory.
//!
//! A slide is opened by reading its headers.
//! What is looked at is decoded into memory-mapped files of our own, with a pyramid of reduced levels beside it, and only
//! the visible tiles go to the GPU.
//! The operating system decides which pages of those files stay in memory, so memory use does not grow with the image.
//!
//! # Words
//!
//! - A **Tile** is a square of one level of one plane: the unit of storage, loading and drawing.
//! - A **Chunk** is what a source file can decode on its own: a TIFF tile, a group of strips, a whole PNG.
//! - A **Fill unit** is the smallest set of tiles that is closed under overlap with chunks; one thread decodes it in one go.
//! - A **Plane** is one channel at one z and t; a **Level** is a size of it; an **Image** is one scene; an **Image set** is
//!   what the user opened.
//! - A **Source** can fill tiles; a **Store** holds them in **Slots** of mapped **Slabs**; a **Pyramid** is both together.
//! - A **Field** is one camera exposure. It is never called a tile.
//! - **Session** is all state the user can change; a **Command** changes it; an **Event** is what the engine reports back.
//!
//! Coordinate spaces stand in names: `screen` (physical pixels), `ui` (points), `image` (level-0 pixels), `level`.
//! A transform is called `screen_from_image`, so that names of spaces meet: `screen_from_image.apply(image_point)`.
//!
//! # Layers
//!
//! Modules import only modules before them in this list; `tests/layering.rs` proves it.
//!
//! 1. [`error`], [`geom`], [`pixels`]: plain values and kernels.
//! 2. [`store`]: mapped files, and what else is asked of the operating system. The only `unsafe` code.
//! 3. [`pyramid`]: level geometry, tile keys, filling and deriving.
//! 4. [`formats`], [`image_set`]: from a path to a source.
//! 5. [`stitch`]: the shift of each overlap of two fields, and the positions that agree with all of them; pure.
//! 6. [`mosaic`]: fields with their places, aligned, evened out and fused.
//! 7. [`view`]: where we look, and what must be drawn for it; pure.
//! 8. [`export`], [`demo`]: writing files.
//! 9. [`engine`]: threads, wish list, background fill, events. It knows nothing of windows.
//! 10. [`session`]: the state of the program; pure.
//! 11. [`render`]: tiles to pixels on the GPU; knows nothing of egui.
//! 12. [`app`], [`cli`]: the window and the command line, on the same engine.
//!
//! # From a dropped path to pixels
//!
//! 1. The window pushes a command; the `opener` thread reads headers and reports [`engine::Event::Opened`].
//! 2. Every frame [`view::scene()`] says which quads to draw from the tiles that are on the GPU, and which tiles are
//!    missing. The missing ones *replace* the engine's wish list, so nothing has to be cancelled.
//! 3. A loader takes the most wanted tile. If the store has it, it is copied to the heap and its checksum compared;
//!    otherwise its fill unit is decoded straight into slots, through one in-flight table, so that no chunk is decoded
//!    twice at once.
//! 4. The window uploads what has come, within a time and byte budget, and draws. Colour, contrast and merging happen in
//!    shaders.
//! 5. Meanwhile the `filler` makes every level of a flat image, depth first, so that parents are derived while their
//!    children are hot; what the view waits for comes first. An image that brings its own levels is never decoded whole.
//!
//! Coarse tiles of a flat image that are still incomplete are shown from the three levels beneath them, with a mask of
//! eighths ([`pyramid::Coverage`]) instead of a guess; such provisional tiles are never stored.
//! A coarse tile over a part that cannot be read stays provisional for ever: the store holds no holes.
//!
//! # From a folder of fields to a mosaic
//!
//! 1. [`image_set`] reads headers and layout files, in parallel, and makes fields of files only on positive evidence.
//!    The nominal layout is on screen before a pixel is decoded.
//! 2. [`mosaic::FieldsSource`] presents the fields as images of one source, so that store, loaders and fill treat them
//!    like any slide: every field is decoded once and has levels of its own.
//! 3. The `aligner` measures overlaps from those tiles ([`mosaic::Aligner`] over [`stitch`]) and publishes provisional
//!    places up to ten times a second; the last solution is cold and the same for any number of threads. What a person
//!    decides about a seam is solved anew in milliseconds.
//! 4. A [`mosaic::Geometry`] is one generation of places. While they move, [`view`] draws the fields' own tiles, cut at
//!    the seams; when they rest, or fields are small, it draws fused tiles, which [`mosaic::Fuser`] makes in loaders,
//!    and which never reach the store. Both ask the same rule who owns a pixel, so the picture does not jump.
//! 5. Exports read bands of fused level 0 ([`export::MosaicBands`]) and derive the levels of the file from those.
//!
//! The mosaic itself is field [`mosaic::MOSAIC`] of its set; image coordinates are those of a frame that the nominal
//! layout fixes, so that an alignment does not move the camera.
//! Where no field is, fused samples are zero and the view cuts them off at the fields' outline; an export keeps a mask.
//!
//! # Invariants
//!
//! 1. Memory is bounded by named constants, not by the data.
//! 2. Source files are read with ordinary reads, never mapped: a truncated source is an error value.
//! 3. Mapped files are ours, allocated before they are mapped, locked against other processes, and no reference into one
//!    leaves [`store`].
//! 4. `unsafe` lives in [`store`] alone, each block with its reason.
//! 5. The UI thread never waits: no file, no mapped byte, no join, no work that grows with the data.
//! 6. A bad tile, channel or file fails alone.
//! 7. Sizes from a file are checked against limits before anything is allocated.
//! 8. Pixels are exact: level 0 is what a reference reader decodes; a derived sample is `(a + b + c + d + 2) >> 2`, the
//!    last row or column repeated at an odd edge; in an exported mosaic over covered pixels alone.
//! 9. Display never changes data.
//! 10. The same input gives the same output, for any number of threads.
//! 11. Nothing is lost: a file appears whole or not at all, and replaces another only then.
//! 12. Every error is handled exactly once: passed on, or shown in words that say what to do.
//! 13. Nothing leaves the machine: no network connection, caches readable by the user alone, no preview from a label.
//!
//! # Threads
//!
//! The UI thread owns the session and the renderer and takes one lock, to swap the wish list and to hand back the tiles that
//! are on the GPU: a loader lets go of their memory. All other threads run at a lower priority than the window's.
//! `opener`, `errands`, `aligner`, `filler`, `exporter`, `painter`, `settings` and up to four `tile-loader-N` belong to
//! the engine, with a pool of `work-N` at low priority that gives way to loaders between units.
//! Workers get [`std::sync::Arc`]s to frozen data and return values; a panic is caught at the job's edge.
//!
//! # Where this departs from the first design
//!
//! - A missing part is masked in eighths of a tile that the scene cuts quads by, not by an alpha plane: no shader and no
//!   tile format has to know of it.
//! - A store keeps a record of its source's description, so that what was decoded opens when the file is gone.
//! - A seam is the midline of the overlap of two fields, not where the distances to their borders are equal: it is a
//!   straight line that quads can be cut by, and it depends on those two fields alone.
//! - A file that is being written has no name at all where the system can do that, instead of a temporary one: a program
//!   that is killed leaves nothing behind.
//! - Of a new mosaic the fields in the middle of the view are decoded together, before the coarse tiles over all of them:
//!   something is to be seen after a few fields, not after hundreds.
//! - On an adapter that draws with the processor, a view that only becomes more complete is drawn ten times a second, and
//!   tiles do not fade in: every frame takes time from decoding.
//! - A slab's pages are unmapped before they are written out, not after: the system takes a mapped page from every processor
//!   by an interrupt of its own, tens of thousands a second while a mosaic is decoded, and the window felt each of them.
//! - Tiles wait in staging buffers for the frame that copies them, with the gutters that follow from all that came with
//!   them; what a frame records for the canvas is submitted at its end.
//! - The lines over a mosaic are instances in a shader ([`render::Stroke`]), not shapes of the user interface.
//! - Headers of many files are read by scoped threads of the recogniser, not by the pool: it runs before there is a set.

pub mod app;
pub mod cli;
pub mod demo;
pub mod engine;
pub mod error;
pub mod export;
pub mod formats;
pub mod geom;
pub mod image_set;
pub mod mosaic;
pub mod pixels;
pub mod pyramid;
pub mod render;
pub mod session;
pub mod stitch;
pub mod store;
pub mod view;
