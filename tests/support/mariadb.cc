// SPDX-License-Identifier: Apache-2.0
#include "support/mariadb.h"

#include <filesystem>
#include <stdexcept>

namespace watchwheel::testing {

const std::string& empty_mariadb_data() {
  static const TempDir dir;
  static const std::string made = [] {
    const std::string data = dir.file("data");
    // A directory of its own: a server that starts removes the temporary tables of every other in the one that they share.
    std::filesystem::create_directory(dir.file("tmp"));
    const Finished init =
        run_program({server_program("mariadb-install-db"), "--no-defaults", "--datadir=" + data,
                     "--tmpdir=" + dir.file("tmp"),
                     "--auth-root-authentication-method=normal", "--skip-test-db",
                     "--skip-name-resolve", "--innodb-log-file-size=8M"});
    if (init.status != 0) throw std::runtime_error("mariadb-install-db: " + init.out + init.err);
    return data;
  }();
  return made;
}

MariaDb::MariaDb(const Options& options)
    : RealServer({.name = "mariadbd",
                  .ports = 1,
                  .prepare =
                      [&](const TempDir& dir, const Ports& ports) {
                        namespace fs = std::filesystem;
                        fs::copy(empty_mariadb_data(), dir.file("data"), fs::copy_options::recursive);
                        fs::create_directory(dir.file("tmp"));
                        std::vector<std::string> argv{server_program("mariadbd"),
                                                      "--no-defaults",
                                                      "--datadir=" + dir.file("data"),
                                                      "--tmpdir=" + dir.file("tmp"),
                                                      "--socket=" + dir.file("s.sock"),
                                                      "--pid-file=" + dir.file("pid"),
                                                      "--port=" + std::to_string(ports.at(0)),
                                                      "--bind-address=127.0.0.1",
                                                      "--innodb-buffer-pool-size=32M",
                                                      "--innodb-log-file-size=8M",
                                                      "--innodb-flush-log-at-trx-commit=1",
                                                      "--performance-schema=OFF",
                                                      "--skip-name-resolve",
                                                      "--skip-log-bin",
                                                      "--max-connections=100"};
                        if (options) {
                          for (std::string& option : options(dir))
                            argv.push_back(std::move(option));
                        }
                        return argv;
                      },
                  .as_nobody = true,
                  .answers =
                      [](const Ports& ports) {
                        return run_program({"mariadb-admin", "--no-defaults", "-uroot",
                                            "-h127.0.0.1", "-P" + std::to_string(ports.at(0)),
                                            "ping"})
                                   .status == 0;
                      }}) {}

std::string MariaDb::url(const std::string& database) const {
  return "mysql://root@127.0.0.1:" + std::to_string(port()) + "/" + database;
}

}  // namespace watchwheel::testing
