// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-servers: the database servers that the tests start, for scripts.
//
// Prints the URL of an empty database "w" once it can be used, and obeys the lines of its standard input: "kill N", "start N",
// "pause N", "resume N" (nodes of a cluster, from 0; each is answered with "done"). All are gone at the input's end.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>

#include "support/galera.h"
#include "support/mariadb.h"

namespace {

using watchwheel::testing::Galera;
using watchwheel::testing::MariaDb;

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void make_database(const std::string& host, int port) {
  const auto made = watchwheel::testing::run_program(
      {"mariadb", "--no-defaults", "-uroot", "-h" + host, "-P" + std::to_string(port), "-e",
       "CREATE DATABASE w CHARACTER SET utf8mb4"});
  if (made.status != 0) throw std::runtime_error("the database w cannot be made: " + made.err);
}

void obey(Galera& cluster, const std::string& word, std::size_t node) {
  if (word == "kill") return cluster.kill(node);
  if (word == "start") return cluster.start(node);
  if (word == "pause") return cluster.pause(node);
  if (word == "resume") return cluster.resume(node);
  throw std::runtime_error("what is \"" + word + "\"?");
}

void serve(bool cluster_wanted) {
  std::unique_ptr<Galera> cluster;
  std::unique_ptr<MariaDb> server;
  if (cluster_wanted) {
    cluster = std::make_unique<Galera>();
    make_database(cluster->address(0), 3306);
    say(cluster->url("w"));
  } else {
    server = std::make_unique<MariaDb>();
    make_database("127.0.0.1", server->port());
    say(server->url("w"));
  }
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string word;
    std::size_t node = 0;
    words >> word >> node;
    if (!cluster) throw std::runtime_error("a single server obeys nothing");
    obey(*cluster, word, node);
    say("done");
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Starts the database servers that the tests start, until the standard input ends."};
  bool cluster = false;
  app.add_flag("--galera", cluster, "a cluster of three, instead of one server");
  CLI11_PARSE(app, argc, argv);
  try {
    serve(cluster);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "watchwheel-bench-servers: %s\n", error.what());
    return 3;
  }
}
