// SPDX-License-Identifier: Apache-2.0
// Goal: what a fuzz run has found stays found, in every build. Method: each target gets its committed corpus, the empty input,
// and the first half of each file, without libFuzzer. A broken law stops the program; the last line names the input.
#include "fuzz/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

namespace watchwheel::fuzz {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> corpus_of(const std::string& name) {
  std::vector<fs::path> files;
  const fs::path folder = fs::path(WATCHWHEEL_SOURCE_DIR) / "tests/fuzz/corpus" / name;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class FuzzCorpus : public ::testing::TestWithParam<Target> {
 protected:
  // In memory of exactly its size, so that the address sanitizer sees a step beyond it.
  static void feed(const std::string& what, const std::string& bytes) {
    std::printf("input %s of %s, %zu bytes\n", what.c_str(), GetParam().name, bytes.size());
    std::fflush(stdout);
    const auto exact = std::make_unique<std::uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), exact.get());
    EXPECT_EQ(GetParam().run(exact.get(), bytes.size()), 0);
  }
};

TEST_P(FuzzCorpus, HoldsItsLaws) {
  const auto files = corpus_of(GetParam().name);
  EXPECT_FALSE(files.empty()) << "no corpus";
  EXPECT_LE(files.size(), 200u);
  feed("(empty)", "");
  for (const fs::path& file : files) {
    const std::string bytes = bytes_of(file);
    EXPECT_LE(bytes.size(), 4096u) << file;
    feed(file.filename().string(), bytes);
    feed("the first half of " + file.filename().string(), bytes.substr(0, bytes.size() / 2));
  }
}

INSTANTIATE_TEST_SUITE_P(, FuzzCorpus, ::testing::ValuesIn(targets()),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace watchwheel::fuzz
