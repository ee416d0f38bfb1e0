// SPDX-License-Identifier: Apache-2.0
#include "checker/file_stamp.h"

#include <sys/stat.h>

#include <algorithm>

namespace watchwheel::checker {

void FileStamp::add(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) {
    text += "-;";
    return;
  }
  const auto part = [&](auto number) { text += std::to_string(number) + ","; };
  part(facts.st_dev);
  part(facts.st_ino);
  part(facts.st_size);
  part(facts.st_mtim.tv_sec);
  part(facts.st_mtim.tv_nsec);
  part(facts.st_ctim.tv_sec);
  part(facts.st_ctim.tv_nsec);
  text += ";";
  newest = std::max(newest, core::WallTime{std::chrono::seconds{facts.st_mtim.tv_sec} +
                                           std::chrono::nanoseconds{facts.st_mtim.tv_nsec}});
}

}  // namespace watchwheel::checker
