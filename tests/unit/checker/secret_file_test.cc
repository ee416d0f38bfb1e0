// SPDX-License-Identifier: Apache-2.0
#include "checker/secret_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "support/temp_dir.h"

namespace watchwheel::checker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::TempDir;

// Sets systemd's variable for one test.
class InService {
 public:
  explicit InService(const std::string& directory) {
    ::setenv("CREDENTIALS_DIRECTORY", directory.c_str(), 1);
  }
  ~InService() { ::unsetenv("CREDENTIALS_DIRECTORY"); }
  InService(const InService&) = delete;
  InService& operator=(const InService&) = delete;
};

std::string message_of(const core::Result<std::string>& result) {
  if (result) return "(no error)";
  EXPECT_EQ(result.error().kind, core::ErrorKind::Invalid);
  return result.error().message;
}

TEST(SecretFile, APathHasASlashAndANameIsACredential) {
  ::unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_EQ(*secret_path("/etc/x"), "/etc/x");
  EXPECT_EQ(*secret_path("./x"), "./x");
  EXPECT_THAT(message_of(secret_path("token")), HasSubstr("LoadCredential="));
  EXPECT_THAT(message_of(secret_path("")), HasSubstr("no file"));
  EXPECT_THAT(message_of(secret_path(std::string_view("/a\0b", 4))), HasSubstr("zero byte"));
  const InService service("/run/credentials/watchwheel.service");
  EXPECT_EQ(*secret_path("token"), "/run/credentials/watchwheel.service/token");
  EXPECT_EQ(*secret_path("/etc/x"), "/etc/x");
  EXPECT_THAT(message_of(secret_path("..")), HasSubstr("not the name"));
  EXPECT_THAT(message_of(secret_path(".")), HasSubstr("not the name"));
}

TEST(SecretFile, OneLineEndIsNotOfTheSecret) {
  const TempDir dir;
  EXPECT_EQ(*read_secret(dir.write("plain", "s3cret")), "s3cret");
  EXPECT_EQ(*read_secret(dir.write("line", "s3cret\n")), "s3cret");
  EXPECT_EQ(*read_secret(dir.write("dos", "s3cret\r\n")), "s3cret");
  EXPECT_EQ(*read_secret(dir.write("spaces", " two words \n")), " two words ");
  EXPECT_EQ(*read_secret(dir.write("utf8", "p\xc3\xa4sse\n")), "p\xc3\xa4sse");
  const InService service(dir.path());
  EXPECT_EQ(*read_secret("plain"), "s3cret");
}

TEST(SecretFile, RefusesWhatIsNoSecretAndNeverShowsIt) {
  const TempDir dir;
  EXPECT_THAT(message_of(read_secret(dir.file("absent"))), HasSubstr("No such file"));
  EXPECT_THAT(message_of(read_secret(dir.path() + "/")), HasSubstr("not a regular file"));
  EXPECT_THAT(message_of(read_secret(dir.write("empty", ""))), HasSubstr("empty"));
  EXPECT_THAT(message_of(read_secret(dir.write("newline", "\n"))), HasSubstr("empty"));
  for (const std::string_view bad :
       {std::string_view("hidden\nhidden\n"), std::string_view("hidden\n\n"),
        std::string_view("hid\rden"), std::string_view("hid\0den", 7), std::string_view("hid\tden"),
        std::string_view("hid\x7f"
                         "den")}) {
    const std::string message = message_of(read_secret(dir.write("bad", bad)));
    EXPECT_THAT(message, HasSubstr("control character"));
    EXPECT_THAT(message, Not(HasSubstr("hid")));
  }
  EXPECT_EQ(read_secret(dir.write("most", std::string(kSecretBytesMax, 'x')))->size(),
            kSecretBytesMax);
  EXPECT_THAT(message_of(read_secret(dir.write("more", std::string(kSecretBytesMax + 1, 'x')))),
              HasSubstr("64 KiB"));
}

// A pipe without a writer would hold up the lane for ever.
TEST(SecretFile, DoesNotWaitForAPipe) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo(dir.file("pipe").c_str(), 0600), 0);
  EXPECT_THAT(message_of(read_secret(dir.file("pipe"))), HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace watchwheel::checker
