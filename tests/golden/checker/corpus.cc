// SPDX-License-Identifier: Apache-2.0
#include "corpus.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

namespace watchwheel::checker {
namespace {

std::vector<CorpusFile> read_folder(const std::string& folder) {
  const std::map<std::string, std::string> types{
      {".html", "text/html; charset=utf-8"}, {".txt", "text/plain"}, {".json", "application/json"}};
  std::vector<CorpusFile> files;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::string(WATCHWHEEL_SOURCE_DIR) + "/tests/golden/checker/pages/" + folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files.push_back({.name = entry.path().filename().string(),
                     .type = types.at(entry.path().extension().string()),
                     .body = {std::istreambuf_iterator<char>(in), {}}});
  }
  std::sort(files.begin(), files.end(),
            [](const CorpusFile& a, const CorpusFile& b) { return a.name < b.name; });
  return files;
}

}  // namespace

const std::vector<CorpusFile>& error_pages() {
  static const std::vector<CorpusFile> files = read_folder("error");
  return files;
}

const std::vector<CorpusFile>& healthy_pages() {
  static const std::vector<CorpusFile> files = read_folder("healthy");
  return files;
}

}  // namespace watchwheel::checker
