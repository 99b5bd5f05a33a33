// The zip container that torch.save writes: entries side by side, none compressed, a directory at the end
// (PKWARE's APPNOTE 6.3, sections 4.3 and 4.5.3).
#ifndef SVI_ENGINE_WEIGHTS_ZIP_ARCHIVE_H_
#define SVI_ENGINE_WEIGHTS_ZIP_ARCHIVE_H_

#include <map>
#include <string>
#include <string_view>

namespace svi::engine {

struct ZipDirectory {
  // The folder of the first entry, without the slash; torch keeps everything of a file in one.
  std::string_view root;
  // Every entry's content by its whole name. Names and contents are parts of the bytes that were read.
  std::map<std::string_view, std::string_view> entries;
};

// Reads the directory of an archive, of the zip64 kind too, and finds every entry by it; contents are not
// looked at. Throws std::invalid_argument, its message beginning with `file_name`, for an entry that is
// compressed, encrypted, outside of the archive, named twice or laid over another, for a directory that does
// not agree with itself or the entries' own headers, and for archives of several disks.
ZipDirectory ReadZipDirectory(std::string_view archive, const std::string& file_name);

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_ZIP_ARCHIVE_H_
