// SPDX-License-Identifier: Apache-2.0
#include "store_time.h"

#include <sqlite3.h>

#include <map>

#include "core/ensure.h"

namespace watchwheel::sim {

// SQLite's own, but for the time, for waiting until something is on the disk (no machine goes down here, only a process), and for the
// locks of a transaction, which are most of what it asks of the kernel.
struct StoreTime::Files {
  sqlite3_vfs vfs{};  // First: SQLite gives us this, and we are at the same place.
  const core::Clock* clock = nullptr;
  sqlite3_vfs* real = nullptr;
  std::map<const sqlite3_io_methods*, std::unique_ptr<sqlite3_io_methods>> methods;

  static Files& of(sqlite3_vfs* vfs) { return *reinterpret_cast<Files*>(vfs); }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* given) {
    Files& files = of(vfs);
    const int code = files.real->xOpen(vfs, name, file, flags, given);
    if (code != SQLITE_OK || file->pMethods == nullptr) return code;
    auto& ours = files.methods[file->pMethods];
    if (!ours) {
      ours = std::make_unique<sqlite3_io_methods>(*file->pMethods);
      ours->xSync = [](sqlite3_file*, int) { return SQLITE_OK; };
      // Transactions of one thread never meet. What a connection holds as long as it is open stays locked: who closes asks it.
      ours->xShmLock = [](sqlite3_file*, int, int, int) { return SQLITE_OK; };
    }
    file->pMethods = ours.get();
    return code;
  }
  static int now(sqlite3_vfs* vfs, sqlite3_int64* julian_ms) {
    constexpr sqlite3_int64 kUnixEpoch = 210866760000000;
    *julian_ms = kUnixEpoch + core::to_unix_ms(of(vfs).clock->wall());
    return SQLITE_OK;
  }
};

StoreTime::StoreTime(const core::Clock& clock) : files_(std::make_unique<Files>()) {
  files_->real = sqlite3_vfs_find(nullptr);
  ENSURE(files_->real != nullptr && files_->real->iVersion >= 2, "SQLite has no file system");
  files_->vfs = *files_->real;
  files_->vfs.pNext = nullptr;
  files_->vfs.zName = "watchwheel-test-time";
  files_->vfs.xOpen = Files::open;
  files_->vfs.xCurrentTimeInt64 = Files::now;
  files_->clock = &clock;
  ENSURE(sqlite3_vfs_register(&files_->vfs, 1) == SQLITE_OK, "SQLite takes no file system");
}

StoreTime::~StoreTime() {
  sqlite3_vfs_unregister(&files_->vfs);
  sqlite3_vfs_register(files_->real, 1);
}

}  // namespace watchwheel::sim
