// The command line: what it asks for, and the commands that do it.
#pragma once

#include <string>
#include <vector>

#include "frontend/evaluate/session.h"

namespace tenon {

enum ExitCode : int {
    exit_success = 0,
    exit_failed = 1,   ///< the script failed
    exit_invalid = 2,  ///< the script is not valid, or the command line is wrong
    exit_interrupted = 130,
};

struct CommandLine {
    std::string command;             ///< "run", "test", …
    std::vector<std::string> files;  ///< what the command works on
    SessionOptions session;
    bool profile = false;             ///< run: which lines the time went to
    bool bless = false;               ///< test: accept the output as it is
    std::string stage = "graph";      ///< dump
    std::string format = "text";      ///< dump: text, dot or json; explain: text or json
    std::vector<std::string> passes;  ///< opt
    bool markdown = false;            ///< help: everything, as docs/reference.md has it
    bool all = false;                 ///< explain: everything, however long
    std::string function;             ///< dump: of which function's graphs; empty: of all
};

/// What `main` does. Returns the exit code.
int run_command_line(int count, char** arguments);

// One function a command; each returns the exit code.
int run_script(const CommandLine& line);       // command_run.cpp
int check_scripts(const CommandLine& line);    // command_run.cpp
int test_scripts(const CommandLine& line);     // command_test.cpp
int run_repl(const CommandLine& line);         // command_repl.cpp
int dump_script(const CommandLine& line);      // command_dump.cpp
int explain_script(const CommandLine& line);   // command_explain.cpp
int optimise_graphs(const CommandLine& line);  // command_dump.cpp
int tell_help(const CommandLine& line);        // command_help.cpp

/// How a command is used, and what its options are; false where there is no such command.
bool print_command_help(std::string_view name);

}  // namespace tenon
