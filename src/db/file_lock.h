// SPDX-License-Identifier: Apache-2.0
// db/file_lock.h - a file beside the store that one process holds locked. The kernel lets go of it when the process ends, however
// it ends; the file itself stays and means nothing.
#pragma once

#include <memory>
#include <string>

#include "core/result.h"
#include "db/store.h"

namespace watchwheel::db {

class FileLock final : public StoreLock {
 public:
  // Unavailable: another process holds it (its number is told), or the file cannot be made.
  [[nodiscard]] static core::Result<std::unique_ptr<FileLock>> take(const std::string& path);
  ~FileLock() override;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  const int fd_;
};

}  // namespace watchwheel::db
