// SPDX-License-Identifier: Apache-2.0
#include "source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace watchwheel::repo {

std::string SourceFile::room() const {
  constexpr std::string_view kSrc = "src/";
  if (!path.starts_with(kSrc)) return {};
  const auto end = path.find('/', kSrc.size());
  return end == std::string::npos ? "" : path.substr(kSrc.size(), end - kSrc.size());
}

std::vector<SourceFile> files_below(const std::string& folder,
                                    const std::vector<std::string>& endings) {
  namespace fs = std::filesystem;
  const fs::path root = WATCHWHEEL_SOURCE_DIR;
  std::vector<SourceFile> out;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    const std::string path = fs::relative(entry.path(), root).string();
    const bool wanted =
        std::any_of(endings.begin(), endings.end(),
                    [&path](const std::string& ending) { return path.ends_with(ending); });
    if (!entry.is_regular_file() || !wanted) continue;
    SourceFile file{.path = path, .lines = {}};
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) file.lines.push_back(line);
    out.push_back(std::move(file));
  }
  std::sort(out.begin(), out.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return out;
}

std::string code_of(std::string_view line) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == '/' && i + 1 < line.size() && line[i + 1] == '/') {
      break;
    } else if (!quoted) {
      out += c;
    }
  }
  return out;
}

}  // namespace watchwheel::repo
