//! What stands inside of files: members of archives, compressed content, packages; one file a format.
//!
//! A container is opened as far as limits on depth, members and bytes allow, and each member is searched as a file of
//! its own would be, by its name and by its content. Nothing is written to disk. What cannot be opened is told, with
//! the reason, never passed over.

mod ar;
mod compressed;
mod cpio;
mod metered;
mod rpm;
mod sevenz;
mod tar;
mod zip;

use std::io::{self, Cursor, Read, Seek};
use std::sync::Arc;

use custody_contract::{SkipReason, Surface};

use self::metered::Meter;
use crate::source::{Format, Found, HEAD, Target, Worker, scan_reader};

/// Between the names of a container and of what stands in it.
pub(crate) const INSIDE: &str = "!/";

/// How deep containers are opened that stand in one another.
const MAX_DEPTH: usize = 8;
/// How many members are opened of one file, those of containers in it included.
const MAX_MEMBERS: u64 = 1_000_000;
/// How many bytes of content are searched of one file, at most.
const MAX_BYTES: u64 = 4 << 30;
/// What a container may measure that has to be in memory as a whole, as it stands in another one or in a stream.
const MAX_IN_MEMORY: u64 = 128 << 20;
/// What a decoder may need, in KiB: windows and models.
const DECODER_KIB: u32 = 192 << 10;

/// Whether a file begins as a tape archive does.
pub(crate) use self::tar::begins as is_tar;

/// Something that can be read from any position.
pub(crate) trait Random: Read + Seek {}

impl<T: Read + Seek> Random for T {}

/// A container's bytes.
pub(crate) enum Content<'c> {
    /// From its start to its end, once.
    Stream(&'c mut dyn Read),
    /// From any position; it stands at the start.
    Random(&'c mut dyn Random),
}

impl<'c> Content<'c> {
    fn stream(self) -> &'c mut dyn Read {
        match self {
            Content::Stream(stream) => stream,
            Content::Random(random) => random,
        }
    }

    /// Gives `open` the bytes so that any position can be read.
    fn random(self, open: impl FnOnce(&mut dyn Random) -> Result<(), Stop>) -> Result<(), Stop> {
        match self {
            Content::Random(random) => open(random),
            Content::Stream(stream) => {
                let mut bytes = Vec::new();
                stream.take(MAX_IN_MEMORY + 1).read_to_end(&mut bytes).map_err(Stop::from)?;
                if bytes.len() as u64 > MAX_IN_MEMORY {
                    return Err(Stop::Here(SkipReason::TooLarge { limit: MAX_IN_MEMORY }));
                }
                open(&mut Cursor::new(bytes))
            }
        }
    }
}

/// Why a container is not read further.
enum Stop {
    /// What is wrong with it.
    Here(SkipReason),
    /// A limit that holds for the whole file is reached.
    Limit,
}

impl Stop {
    fn corrupt(error: impl std::fmt::Display) -> Stop {
        Stop::Here(SkipReason::Corrupt { error: short(&error.to_string()) })
    }

    fn encrypted() -> Stop {
        Stop::Here(SkipReason::Unreadable { error: "it is encrypted".to_owned() })
    }

    fn unsupported(format: &str) -> Stop {
        Stop::Here(SkipReason::UnsupportedFormat { format: format.to_owned() })
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        if metered::is_limit(&error) { Stop::Limit } else { Stop::corrupt(error) }
    }
}

/// An error of a library, which may quote what it read: one line, and no longer than one.
fn short(error: &str) -> String {
    let line: String = error.chars().take_while(|&c| c != '\n').filter(|c| !c.is_control()).take(120).collect();
    line.trim().to_owned()
}

/// Opens a container and gives its members to the walk.
type Open = fn(&mut Walk<'_, '_, '_>, Content<'_>) -> Result<(), Stop>;

/// The formats that can be opened, by their short names.
const READERS: &[(&str, Open)] = &[
    ("zip", zip::open),
    ("tar", tar::open),
    ("gzip", compressed::gzip),
    ("bzip2", compressed::bzip2),
    ("xz", compressed::xz),
    ("lzma", compressed::lzma),
    ("lzip", compressed::lzip),
    ("zstd", compressed::zstd),
    ("lz4", compressed::lz4),
    ("7z", sevenz::open),
    ("ar", ar::open),
    ("deb", ar::open),
    ("cpio", cpio::open),
    ("rpm", rpm::open),
];

fn reader(format: Format) -> Option<Open> {
    READERS.iter().find(|(name, _)| *name == format.0).map(|&(_, open)| open)
}

/// Whether what stands in files of this format is searched.
pub(crate) fn opens(format: Format) -> bool {
    reader(format).is_some()
}

/// What became of a container.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// Bytes of content that were searched.
    pub(crate) bytes: u64,
    /// What was not, by its name inside of the container, which is empty for the container itself.
    pub(crate) unread: Vec<(String, SkipReason)>,
    /// How many more there are than are listed.
    pub(crate) unlisted: u64,
}

impl Opened {
    /// Whether something in it was not searched.
    pub(crate) fn hides(&self) -> bool {
        !self.unread.is_empty()
    }
}

/// How much is listed of what one container holds and was not read.
const MAX_UNREAD: usize = 100;

/// Searches what stands inside of a container of that format.
pub(crate) fn search(
    worker: &mut Worker<'_>,
    format: Format,
    content: Content<'_>,
    target: Target<'_>,
    sink: &mut dyn FnMut(Found),
) -> Opened {
    let Some(open) = reader(format) else { return Opened::default() };
    let mut walk = Walk {
        worker,
        surface: target.surface,
        outer: target.path,
        sink,
        meter: Meter::new(MAX_BYTES),
        members: MAX_MEMBERS,
        inside: Vec::new(),
        opened: Opened::default(),
    };
    if let Err(stop) = open(&mut walk, content) {
        walk.unread(stop);
    }
    walk.opened
}

/// One container, with those in it.
pub(crate) struct Walk<'w, 'e, 's> {
    worker: &'w mut Worker<'e>,
    surface: Surface,
    /// The path of the file.
    outer: Option<&'w str>,
    sink: &'s mut dyn FnMut(Found),
    meter: Meter,
    /// How many more may be opened.
    members: u64,
    /// The names, as they may be shown, from the container in the file to what is at hand.
    inside: Vec<String>,
    opened: Opened,
}

impl Walk<'_, '_, '_> {
    /// Searches a member: its name, and its content to the end.
    fn member(&mut self, name: &[u8], content: &mut dyn Read) -> Result<(), Stop> {
        self.enter(name)?;
        let outcome = self.content(content);
        let outcome = self.passed(outcome);
        self.inside.pop();
        outcome
    }

    /// The same for one whose content cannot be read.
    fn unreadable(&mut self, name: &[u8], stop: Stop) -> Result<(), Stop> {
        self.enter(name)?;
        let outcome = self.passed(Err(stop));
        self.inside.pop();
        outcome
    }

    /// Searches a name, and the text that stands with it, such as the target of a link.
    fn named(&mut self, name: &[u8], text: &[u8]) -> Result<(), Stop> {
        self.enter(name)?;
        if !text.is_empty() {
            self.text(text);
        }
        self.inside.pop();
        Ok(())
    }

    /// Searches text that is no member of its own, such as a comment.
    fn text(&mut self, text: &[u8]) {
        let inside = self.place();
        let sink = &mut *self.sink;
        self.worker.search(text, None, self.surface, &mut |found| sink(Found { inside: inside.clone(), ..found }));
        self.opened.bytes += text.len() as u64;
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), Stop> {
        self.members = self.members.checked_sub(1).ok_or(Stop::Limit)?;
        let (shown, found) = self.worker.search_name(name, self.surface);
        self.inside.push(shown);
        let inside = self.place();
        found.into_iter().for_each(|found| (self.sink)(Found { inside: inside.clone(), ..found }));
        Ok(())
    }

    /// The names down to what is at hand.
    fn place(&self) -> Option<Arc<str>> {
        (!self.inside.is_empty()).then(|| Arc::from(self.inside.join(INSIDE)))
    }

    /// Notes what keeps a member from being read; what keeps all from it goes on.
    fn passed(&mut self, outcome: Result<(), Stop>) -> Result<(), Stop> {
        match outcome {
            Err(Stop::Limit) => Err(Stop::Limit),
            Err(stop) => {
                self.unread(stop);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn unread(&mut self, stop: Stop) {
        let reason = match stop {
            Stop::Here(reason) => reason,
            Stop::Limit => {
                // Whatever comes behind it, too.
                self.inside.clear();
                let reason = format!("it holds more than {MAX_MEMBERS} members or {} GiB", MAX_BYTES >> 30);
                SkipReason::Interrupted { reason }
            }
        };
        if self.opened.unread.len() < MAX_UNREAD {
            self.opened.unread.push((self.inside.join(INSIDE), reason));
        } else {
            self.opened.unlisted += 1;
        }
    }

    fn content(&mut self, content: &mut dyn Read) -> Result<(), Stop> {
        let mut content = self.meter.read(content);
        let mut head = Vec::with_capacity(HEAD);
        (&mut content).take(HEAD as u64).read_to_end(&mut head)?;
        let format = Format::detect(&head);
        let mut whole = Cursor::new(head).chain(content);
        match format {
            Some(format) if let Some(open) = reader(format) => {
                if self.inside.len() >= MAX_DEPTH {
                    let reason = format!("containers stand in one another more than {MAX_DEPTH} deep");
                    return Err(Stop::Here(SkipReason::Interrupted { reason }));
                }
                open(self, Content::Stream(&mut whole))
            }
            format => {
                self.leaf(&mut whole)?;
                format.map_or(Ok(()), |format| Err(Stop::unsupported(format.0)))
            }
        }
    }

    fn leaf(&mut self, content: &mut dyn Read) -> Result<(), Stop> {
        let inside = self.place();
        let name = self.inside.last().map(String::as_str).unwrap_or_default();
        // Where the file stands says what it is for, and the member's own name what it is.
        let path = self.outer.map(|outer| format!("{outer}/{name}"));
        let target = Target { path: path.as_deref().or(Some(name)), surface: self.surface };
        let sink = &mut *self.sink;
        let (scanned, result) =
            scan_reader(self.worker, content, target, &mut |found| sink(Found { inside: inside.clone(), ..found }));
        self.opened.bytes += scanned.bytes;
        result.map_err(Stop::from)
    }

    /// Reads what is left of a stream, so that what follows can be read.
    fn drain(&mut self, content: &mut dyn Read) -> Result<(), Stop> {
        let mut content = self.meter.read(content);
        io::copy(&mut content, &mut io::sink()).map(|_| ()).map_err(Stop::from)
    }
}
