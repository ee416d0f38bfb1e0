// SPDX-License-Identifier: Apache-2.0
// db/unread_trigger.h - a server that could not read a trigger, and would not try again by itself. Pure.
//
// MariaDB reads a table's triggers when it opens the table for one more session. A session that is interrupted at that moment, by
// KILL, by max_statement_time or by a cluster that ends its transaction, leaves the opened table behind with a trigger that "has a
// syntax error", for others to use: whatever changes a row of it is refused with 1064, until the server closes the table (seen on
// 10.11.19; its lexer takes an interrupted session for the end of the text). What was to be written is not at fault.
#pragma once

#include <array>
#include <string_view>

namespace watchwheel::db {

// Make the server close its opened tables `sites` where it stands, and read the triggers anew. The first needs RELOAD, the second
// only rights that the daemon has; InnoDB repairs nothing and says so, but the table was closed for it. Neither goes to other nodes.
inline constexpr std::array kReadTriggersAnew{"FLUSH NO_WRITE_TO_BINLOG TABLES sites",
                                              "REPAIR NO_WRITE_TO_BINLOG TABLE sites"};

// Whether a refusal speaks of a trigger. `prepared`: the text of the query itself had been read by the server before, so that a
// syntax error in it can only be in what it sets off; otherwise the server's message decides.
[[nodiscard]] bool is_unread_trigger(int code, std::string_view message, bool prepared);

}  // namespace watchwheel::db
