//! The real program in a real window: dropped file, zoom, drag, channel key, resize, quit, checked by what is on screen.
//!
//! Runs under Xvfb, which needs no graphics card and no desktop; xdotool is the user's hand.
//! Nothing inside the program is asked: positions are found in pictures of the screen, by the colours of two squares.
#![cfg(target_os = "linux")]

mod display;
mod drop_source;
mod picture;

use display::{Display, Window};
use microtome::export::{
    OmeImage, PixelLayout, TiffPage, TiffPlan, TileCompression, TileEncoder, TiledTiffWriter, ome_xml,
};
use microtome::geom::{Point, Size};
use microtome::pixels::TileFormat;
use picture::Picture;
use std::path::Path;

/// The image that is dropped: large enough to be shown smaller than it is, so that zooming in has room.
const SIZE: Size = Size::new(2000, 1500);

/// The side of a square in image pixels.
const SQUARE: u32 = 40;

/// The middle of the red square, near the middle of the image.
const RED: Point = Point::new(1000.0, 740.0);

/// The middle of the green square, level with the red one.
const GREEN: Point = Point::new(1240.0, 740.0);

/// How bright the image is everywhere in its first channel, which is shown blue.
const GROUND: u8 = 150;

#[test]
fn a_file_is_dropped_zoomed_dragged_switched_resized_and_left() {
    let Some(display) = Display::start() else { return };
    let folder = tempfile::tempdir().expect("folder");
    // A space in the name, because a drop carries it as %20.
    let file = folder.path().join("two squares.ome.tif");
    write_image(&file);
    let mut program = display.start_program(env!("CARGO_BIN_EXE_microtome"), folder.path());
    let window = display.wait_for_window(&mut program, "microtome");

    let middle = window.middle();
    drop_source::drop_file(&display, window, middle, &file);
    let opened = squares(&display, "the dropped image");
    assert!(opened.are_as_in_the_image(), "the green square is right of the red one: {opened:?}");

    zooming_keeps_what_is_under_the_pointer(&display);
    dragging_moves_the_image_as_far_as_the_pointer(&display);
    a_number_key_switches_its_channel(&display, window);
    resizing_keeps_the_image_and_its_scale(&display, window);

    display.key(window, "ctrl+q");
    let status = display.wait_for_exit(&mut program);
    assert!(status.success(), "Ctrl+Q ended the program with {status}");
}

fn zooming_keeps_what_is_under_the_pointer(display: &Display) {
    let before = squares(display, "the image before zooming");
    // Off both squares, so that neither is special.
    let pointer = Point::new((before.red.x + 31.0).round(), (before.red.y + 23.0).round());
    for (button, grows) in [("4", true), ("4", true), ("5", false)] {
        let before = squares(display, "the image before a step of the wheel");
        display.move_pointer(pointer);
        display.click(button);
        let after = display.wait_until("the wheel zooms", || {
            let now = squares(display, "the image while zooming");
            let factor = now.scale() / before.scale();
            if grows { factor > 1.05 } else { factor < 0.95 }.then_some(now)
        });
        let (was, is) = (before.image_from_screen(pointer), after.image_from_screen(pointer));
        let moved_screen_px = was.distance(is) * after.scale();
        assert!(
            moved_screen_px < 1.5,
            "zooming moved what is under the pointer by {moved_screen_px:.2} screen px: {was:?} became {is:?}"
        );
    }
}

fn dragging_moves_the_image_as_far_as_the_pointer(display: &Display) {
    let before = squares(display, "the image before dragging");
    let from = Point::new(before.red.x.round() - 40.0, before.red.y.round() + 40.0);
    display.drag(from, Point::new(from.x - 100.0, from.y + 60.0));
    // The window may lag behind the hand: what counts is where the image comes to rest.
    let after = display.wait_until("the image has moved by (-100, 60)", || {
        let now = squares(display, "the image while dragging");
        let moved = now.red - before.red;
        ((moved.x + 100.0).abs() < 1.0 && (moved.y - 60.0).abs() < 1.0).then_some(now)
    });
    assert!((after.scale() / before.scale() - 1.0).abs() < 0.005, "dragging changed the scale");
}

fn a_number_key_switches_its_channel(display: &Display, window: Window) {
    let before = squares(display, "the image before switching");
    let ground = Point::new(before.red.x, before.red.y + f64::from(SQUARE) * 1.5 * before.scale());
    let is_blue = |picture: &Picture| picture.at(ground)[2] > GROUND - 20;
    assert!(is_blue(&display.picture()), "the first channel is shown in its colour at {ground:?}");
    display.key(window, "1");
    display.wait_until("key 1 hides the first channel", || {
        let [r, g, b] = display.picture().at(ground);
        (r < 20 && g < 20 && b < 20).then_some(())
    });
    display.key(window, "1");
    display.wait_until("key 1 shows the first channel again", || is_blue(&display.picture()).then_some(()));
}

fn resizing_keeps_the_image_and_its_scale(display: &Display, window: Window) {
    let before = squares(display, "the image before resizing");
    let (width, height) = (1100, 760);
    display.resize(window, width, height);
    let after = squares(display, "the image after resizing");
    assert!((after.scale() / before.scale() - 1.0).abs() < 0.005, "resizing changed the scale: {before:?} {after:?}");
}

/// Where the two squares are on the screen.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Squares {
    red: Point,
    green: Point,
}

impl Squares {
    /// Screen pixels an image pixel.
    fn scale(self) -> f64 {
        self.red.distance(self.green) / RED.distance(GREEN)
    }

    fn image_from_screen(self, screen: Point) -> Point {
        RED + (screen - self.red) * (1.0 / self.scale())
    }

    /// Whether the squares lie as they do in the image: side by side, and level.
    fn are_as_in_the_image(self) -> bool {
        self.green.x - self.red.x > 10.0 && (self.green.y - self.red.y).abs() < 1.0
    }
}

/// Waits until both squares are there and rest.
fn squares(display: &Display, what: &str) -> Squares {
    /// Pictures in a row on which nothing has moved: longer than any animation stands still.
    const RESTING_PICTURES: usize = 8;
    let mut last: Option<(Picture, Option<Squares>)> = None;
    let mut resting = 0;
    display.wait_until(what, || {
        let picture = display.picture();
        // Looking for squares takes long; the same picture has them in the same places.
        let found = match &last {
            Some((before, found)) if *before == picture => *found,
            _ => find_squares(&picture),
        };
        let rests = found.is_some() && last.as_ref().is_some_and(|(_, before)| *before == found);
        resting = if rests { resting + 1 } else { 0 };
        last = Some((picture, found));
        found.filter(|_| resting >= RESTING_PICTURES)
    })
}

fn find_squares(picture: &Picture) -> Option<Squares> {
    // Square and ground are added up, and the ground is blue under both.
    let red = picture.middle_of(|[r, g, b]| r > 200 && g < 60 && b > GROUND - 40)?;
    let green = picture.middle_of(|[r, g, b]| g > 200 && r < 60 && b > GROUND - 40)?;
    Some(Squares { red, green })
}

/// Writes three channels of 8 bits, which open as they are: ground, red square, green square.
fn write_image(path: &Path) {
    const TILE_SIDE: u32 = 256;
    let channels = [("Ground", Some([0, 0, 255])), ("Red", Some([255, 0, 0])), ("Green", Some([0, 255, 0]))];
    let (format, um_per_px) = (TileFormat::Gray8, Some([0.5, 0.5]));
    let xml = ome_xml(&OmeImage {
        name: "Two squares",
        size: SIZE,
        layout: PixelLayout::of(format),
        z_count: 1,
        t_count: 1,
        channels: &channels,
        um_per_px,
        objective: None,
    });
    let compression = TileCompression::Deflate;
    let mut plan = TiffPlan::default();
    let mut description = Some(xml);
    let pages = [(); 3].map(|()| {
        plan.add_page(TiffPage {
            size: SIZE,
            tile_side: TILE_SIDE,
            layout: PixelLayout::of(format),
            compression,
            um_per_px,
            description: description.take(),
        })
    });
    let mut writer = TiledTiffWriter::create(path, &plan).expect("create");
    let mut encoder = TileEncoder::new(compression, PixelLayout::of(format), TILE_SIDE, path).expect("encoder");
    let is_in = |middle: Point, x: u32, y: u32| {
        let half = f64::from(SQUARE) / 2.0;
        (f64::from(x) + 0.5 - middle.x).abs() < half && (f64::from(y) + 0.5 - middle.y).abs() < half
    };
    for (channel, page) in pages.into_iter().enumerate() {
        for (tx, ty) in
            (0..SIZE.height.div_ceil(TILE_SIDE)).flat_map(|y| (0..SIZE.width.div_ceil(TILE_SIDE)).map(move |x| (x, y)))
        {
            let rows = ty * TILE_SIDE..(ty + 1) * TILE_SIDE;
            let tile: Vec<u8> = rows
                .flat_map(|y| (tx * TILE_SIDE..(tx + 1) * TILE_SIDE).map(move |x| (x, y)))
                .map(|(x, y)| match channel {
                    0 => GROUND,
                    1 => u8::from(is_in(RED, x, y)) * 255,
                    _ => u8::from(is_in(GREEN, x, y)) * 255,
                })
                .collect();
            let packed = encoder.encode(&tile, path).expect("packed");
            writer.write_tile(page, tx, ty, &packed).expect("written");
        }
    }
    writer.finish().expect("finished");
}
