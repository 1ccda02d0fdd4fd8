//! How do workers share a picture?
//!
//! Tiles of the Mandelbrot set are jobs of a `WorkerPool`. A finished tile comes back as a message: its
//! pixels are moved, not copied, and the loop puts them into the picture as they arrive. The file is
//! written by the blocking pool, for writing may block.
//!
//! ```text
//! $ cargo run --release --example mandelbrot
//! 192 tiles by 2 workers in 4.00s: worker 1 did 88, worker 2 did 104
//! written to mandelbrot.png, 1600 by 1200 pixels
//! ```

#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use windlass::worker::{self, WorkerPool};

use common::{Long, Parser, Stop, Value, mention};

const HELP: &str = "\
Draws the Mandelbrot set by a worker for each core.

usage: mandelbrot [--short] [FILE]

  FILE     the picture, a PNG (default mandelbrot.png)
  --short  a quick look: a small picture
  --help   this text
";

/// The side of a tile, in pixels.
const TILE: usize = 100;
const MAX_STEPS: u32 = 2000;

#[derive(Clone, Copy)]
struct Job {
    /// The tile's place in the picture, in tiles.
    column: usize,
    row: usize,
    /// The picture's width, in pixels.
    width: usize,
}

struct Tile {
    job: Job,
    /// `TILE` rows of `TILE` pixels of three bytes.
    pixels: Vec<u8>,
    worker: u64,
}

/// How many steps a point takes to leave the circle of radius 2, if it does.
fn escape(re: f64, im: f64) -> Option<u32> {
    let (mut x, mut y) = (0.0_f64, 0.0_f64);
    for step in 0..MAX_STEPS {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > 4.0 {
            return Some(step);
        }
        (x, y) = (xx - yy + re, 2.0 * x * y + im);
    }
    None
}

fn color(steps: Option<u32>) -> [u8; 3] {
    let Some(steps) = steps else { return [0, 0, 0] };
    let shade = f64::from(steps).ln_1p() / f64::from(MAX_STEPS).ln_1p();
    [shade.sqrt(), shade, shade.powi(2)].map(|part| (part * 255.0) as u8)
}

fn render(job: Job) -> Tile {
    let scale = 3.2 / job.width as f64;
    let mut pixels = Vec::with_capacity(TILE * TILE * 3);
    for y in 0..TILE {
        for x in 0..TILE {
            let re = (job.column * TILE + x) as f64 * scale - 2.3;
            let im = (job.row * TILE + y) as f64 * scale - 1.2;
            pixels.extend(color(escape(re, im)));
        }
    }
    Tile { job, pixels, worker: worker::id() }
}

fn put(picture: &mut [u8], tile: &Tile) {
    for (y, line) in tile.pixels.chunks(TILE * 3).enumerate() {
        let row = tile.job.row * TILE + y;
        let start = (row * tile.job.width + tile.job.column * TILE) * 3;
        picture[start..start + line.len()].copy_from_slice(line);
    }
}

fn encode(picture: &[u8], width: usize, height: usize) -> io::Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture)?;
    writer.finish()?;
    Ok(file)
}

struct Options {
    path: PathBuf,
    short: bool,
}

fn main() -> ExitCode {
    common::main(HELP, read, draw)
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let (mut path, mut short) = (None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("short") => short = true,
            Value(file) if path.is_none() => path = Some(file.into()),
            argument => return Err(common::other(argument)),
        }
    }
    Ok(Options { path: path.unwrap_or_else(|| "mandelbrot.png".into()), short })
}

fn draw(Options { path, short }: Options) -> io::Result<()> {
    let (columns, rows) = if short { (4, 3) } else { (16, 12) };
    let (width, height) = (columns * TILE, rows * TILE);

    let size = thread::available_parallelism().map_or(2, usize::from);
    windlass::block_on(async move {
        let began = Instant::now();
        let pool = WorkerPool::new(size, || render)?;
        let tiles = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
        let jobs: Vec<_> =
            tiles.map(|(column, row)| pool.run(Job { column, row, width })).collect();
        let mut picture = vec![0; width * height * 3];
        let mut shares = BTreeMap::<u64, usize>::new();
        let count = jobs.len();
        for job in jobs {
            let tile = job.await.map_err(io::Error::other)?;
            put(&mut picture, &tile);
            *shares.entry(tile.worker).or_default() += 1;
        }
        let shares: Vec<_> =
            shares.iter().map(|(worker, tiles)| format!("worker {worker} did {tiles}")).collect();
        let time = began.elapsed();
        mention!("{count} tiles by {size} workers in {time:.2?}: {}", shares.join(", "));

        let encoded = windlass::queue_work(move || encode(&picture, width, height));
        windlass::fs::write(&path, encoded.await??).await?;
        mention!("written to {}, {width} by {height} pixels", path.display());
        Ok(())
    })
}
