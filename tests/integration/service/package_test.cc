// SPDX-License-Identifier: Apache-2.0
// The Debian package: built as a user would, and read with dpkg's own tools. Nothing is installed.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "support/child_process.h"
#include "support/paths.h"

namespace watchwheel {
namespace {

using testing::Finished;
using testing::run_program;
using testing::TempDir;

class Package : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = std::make_unique<TempDir>();
    built_ = run_program({"cpack", "-G", "DEB", "--config",
                          testing::binary_dir() + "/CPackConfig.cmake", "-B", dir_->path()},
                         {}, std::chrono::minutes{5});
    for (const auto& entry : std::filesystem::directory_iterator(dir_->path())) {
      if (entry.path().extension() == ".deb") deb_ = entry.path();
    }
  }
  static void TearDownTestSuite() { dir_.reset(); }

  void SetUp() override { ASSERT_FALSE(deb_.empty()) << built_.out << built_.err; }

  static std::string field(const std::string& name) {
    std::string out = run_program({"dpkg-deb", "-f", deb_, name}).out;
    while (out.ends_with('\n')) out.pop_back();
    return out;
  }

  static inline std::unique_ptr<TempDir> dir_;
  static inline std::string deb_;
  static inline Finished built_;
};

TEST_F(Package, HoldsEveryFileInItsPlace) {
  const Finished listed = run_program({"dpkg-deb", "-c", deb_});
  ASSERT_EQ(listed.status, 0) << listed.err;
  struct Wanted {
    const char* mode;
    const char* path;
  };
  for (const Wanted& wanted : {
           Wanted{"-rwxr-xr-x root/root", "./usr/bin/watchwheel"},
           Wanted{"-rw-r--r-- root/root", "./usr/lib/systemd/system/watchwheel.service"},
           Wanted{"-rw-r--r-- root/root", "./usr/lib/systemd/system/watchwheel-verifier.service"},
           Wanted{"-rw-r--r-- root/root", "./etc/watchwheel/watchwheel.toml"},
           Wanted{"-rw-r--r-- root/root", "./usr/share/doc/watchwheel/copyright"},
           Wanted{"-rw-r--r-- root/root", "./usr/share/doc/watchwheel/changelog.gz"},
           Wanted{"-rw-r--r-- root/root", "./usr/share/doc/watchwheel/reference/metrics.md"},
       }) {
    const auto at = listed.out.find(std::string(" ") + wanted.path + "\n");
    ASSERT_NE(at, std::string::npos) << wanted.path << " in\n" << listed.out;
    const auto line = listed.out.rfind('\n', at) + 1;  // npos + 1 is 0: the first line.
    EXPECT_EQ(listed.out.substr(line, std::string(wanted.mode).size()), wanted.mode) << wanted.path;
  }
  EXPECT_EQ(listed.out.find("fleet"), std::string::npos)
      << listed.out;  // A tool, not a part of the product.
}

TEST_F(Package, SaysWhatItIsAndNeeds) {
  EXPECT_EQ(field("Package"), "watchwheel");
  EXPECT_FALSE(field("Version").empty());
  for (const char* library : {"libc6 ", "libcurl4 ", "libsqlite3-0 ", "libsystemd0"}) {
    EXPECT_NE(field("Depends").find(library), std::string::npos) << field("Depends");
  }
}

// An upgrade keeps an operator's configuration only when it is declared as such.
TEST_F(Package, TheConfigurationIsTheOperators) {
  TempDir control;
  ASSERT_EQ(run_program({"dpkg-deb", "-e", deb_, control.path()}).status, 0);
  EXPECT_EQ(run_program({"cat", control.path() + "/conffiles"}).out,
            "/etc/watchwheel/watchwheel.toml\n");
  for (const char* script : {"postinst", "prerm", "postrm"}) {
    const Finished parsed = run_program({"sh", "-n", control.path() + "/" + script});
    EXPECT_EQ(parsed.status, 0) << script << parsed.err;
  }
}

// Goal: the packaged binary and configuration fit. Method: unpack, and let the one judge the other.
TEST_F(Package, ThePackagedConfigurationIsValid) {
  TempDir root;
  ASSERT_EQ(run_program({"dpkg-deb", "-x", deb_, root.path()}).status, 0);
  const Finished judged = run_program({root.path() + "/usr/bin/watchwheel", "validate-config",
                                       root.path() + "/etc/watchwheel/watchwheel.toml"});
  EXPECT_EQ(judged.status, 0) << judged.out << judged.err;
  EXPECT_NE(judged.err.find("0 errors, 0 warnings"), std::string::npos) << judged.err;
}

}  // namespace
}  // namespace watchwheel
