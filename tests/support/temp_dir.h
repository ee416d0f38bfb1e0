// SPDX-License-Identifier: Apache-2.0
// support/temp_dir.h - a directory of a test's own, removed with all in it.
//
// Fails    by ENSURE: a test without a place to write has nothing to say.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>

#include "core/ensure.h"
#include "core/pinned.h"

namespace watchwheel::testing {

// Writes a whole file; what was there is gone.
inline void write_file(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  ENSURE(file.good(), "cannot write " + path);
}

class TempDir : core::Pinned {
 public:
  TempDir() : path_((std::filesystem::temp_directory_path() / "watchwheel-test-XXXXXX").string()) {
    ENSURE(::mkdtemp(path_.data()) != nullptr, "no temporary directory");
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file there and returns its path.
  std::string write(const std::string& name, std::string_view content) const {
    write_file(file(name), content);
    return file(name);
  }

 private:
  std::string path_;
};

}  // namespace watchwheel::testing
