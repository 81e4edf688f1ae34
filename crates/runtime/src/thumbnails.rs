//! Smaller pictures, made when they are asked for: off the async threads, a few at a time, within bounds of memory.

use std::io::Cursor;
use std::sync::Arc;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageError, ImageFormat, ImageReader, Limits, imageops::FilterType};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Longest side of a picture that is made smaller; larger ones are shown as they are.
const MAX_SOURCE_PIXELS: u32 = 12_000;
/// Memory that reading one picture may take.
const MAX_SOURCE_BYTES: u64 = 192 * 1024 * 1024;
/// Longest side of a thumbnail.
pub const MAX_THUMBNAIL_PIXELS: u32 = 4_096;

/// What a thumbnail is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thumbnail {
    /// `None`: as the other side asks.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// Fills width and height, cutting off what sticks out; else fits into them.
    pub is_cropped: bool,
    /// Of JPEG, 1 to 100.
    pub quality: u8,
    /// `None`: as the picture is.
    pub format: Option<ThumbnailFormat>,
}

/// Formats thumbnails are made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThumbnailFormat {
    Jpeg,
    Png,
}

impl ThumbnailFormat {
    pub const fn mime_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// A thumbnail that was made.
pub struct Made {
    pub bytes: Vec<u8>,
    pub format: ThumbnailFormat,
}

/// Makes thumbnails.
#[derive(Clone)]
pub struct Thumbnails {
    at_once: Arc<Semaphore>,
}

impl Thumbnails {
    /// Works on at most this many pictures at the same time.
    pub fn new(at_once: usize) -> Self {
        Self { at_once: Arc::new(Semaphore::new(at_once)) }
    }

    /// `None` when the picture is of a format that is not read here, broken, or too large: it is then to be shown as
    /// it is.
    pub async fn make(&self, picture: Vec<u8>, wanted: Thumbnail) -> Option<Made> {
        let _permit = self.at_once.acquire().await.ok()?;
        spawn_blocking(move || made(&picture, wanted).ok()).await.ok()?
    }
}

fn made(picture: &[u8], wanted: Thumbnail) -> Result<Made, ImageError> {
    let mut reader = ImageReader::new(Cursor::new(picture)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SOURCE_PIXELS);
    limits.max_image_height = Some(MAX_SOURCE_PIXELS);
    limits.max_alloc = Some(MAX_SOURCE_BYTES);
    reader.limits(limits);
    let own = if reader.format() == Some(ImageFormat::Jpeg) { ThumbnailFormat::Jpeg } else { ThumbnailFormat::Png };
    let format = wanted.format.unwrap_or(own);
    let smaller = resized(&reader.decode()?, wanted);
    let mut bytes = Vec::new();
    match format {
        ThumbnailFormat::Jpeg => {
            let encoder = JpegEncoder::new_with_quality(&mut bytes, wanted.quality.clamp(1, 100));
            smaller.to_rgb8().write_with_encoder(encoder)?;
        }
        ThumbnailFormat::Png => smaller.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?,
    }
    Ok(Made { bytes, format })
}

/// Never larger than the picture is.
fn resized(picture: &DynamicImage, wanted: Thumbnail) -> DynamicImage {
    let bound = |side: u32| side.clamp(1, MAX_THUMBNAIL_PIXELS);
    let (width, height) = (picture.width(), picture.height());
    let wide = wanted.width.map_or(if wanted.is_cropped { width } else { u32::MAX }, bound);
    let high = wanted.height.map_or(if wanted.is_cropped { height } else { u32::MAX }, bound);
    if wanted.is_cropped {
        return picture.resize_to_fill(wide.min(width), high.min(height), FilterType::Triangle);
    }
    if width <= wide && height <= high {
        return picture.clone();
    }
    picture.resize(wide.min(width), high.min(height), FilterType::Triangle)
}

#[cfg(test)]
mod tests {
    use image::{RgbImage, load_from_memory};

    use super::*;

    fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = DynamicImage::from(RgbImage::from_pixel(width, height, image::Rgb([200, 10, 10])));
        picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    fn wanted(width: u32, height: u32) -> Thumbnail {
        Thumbnail { width: Some(width), height: Some(height), is_cropped: false, quality: 80, format: None }
    }

    async fn size(picture: Vec<u8>, wanted: Thumbnail) -> (u32, u32, ThumbnailFormat) {
        let made = Thumbnails::new(1).make(picture, wanted).await.unwrap();
        let shown = load_from_memory(&made.bytes).unwrap();
        (shown.width(), shown.height(), made.format)
    }

    #[tokio::test]
    async fn a_picture_is_fitted_or_cropped_and_never_enlarged() {
        let wide = || picture(200, 100, ImageFormat::Jpeg);
        assert_eq!(size(wide(), wanted(50, 50)).await, (50, 25, ThumbnailFormat::Jpeg));
        let cropped = Thumbnail { is_cropped: true, ..wanted(50, 50) };
        assert_eq!(size(wide(), cropped).await, (50, 50, ThumbnailFormat::Jpeg));
        assert_eq!(size(wide(), wanted(900, 900)).await, (200, 100, ThumbnailFormat::Jpeg));
        let by_width = Thumbnail { height: None, ..wanted(20, 0) };
        assert_eq!(size(wide(), by_width).await, (20, 10, ThumbnailFormat::Jpeg));
        let as_png = Thumbnail { format: Some(ThumbnailFormat::Png), ..wanted(50, 50) };
        assert_eq!(size(wide(), as_png).await, (50, 25, ThumbnailFormat::Png));
        assert_eq!(size(picture(8, 8, ImageFormat::Png), wanted(4, 4)).await, (4, 4, ThumbnailFormat::Png));
    }

    #[tokio::test]
    async fn what_is_no_picture_or_too_large_makes_none() {
        let thumbnails = Thumbnails::new(1);
        assert!(thumbnails.make(b"%PDF-1.7".to_vec(), wanted(5, 5)).await.is_none());
        let mut broken = picture(50, 50, ImageFormat::Png);
        broken.truncate(60);
        assert!(thumbnails.make(broken, wanted(5, 5)).await.is_none());
        let huge = picture(MAX_SOURCE_PIXELS + 1, 1, ImageFormat::Png);
        assert!(thumbnails.make(huge, wanted(5, 5)).await.is_none());
    }
}
