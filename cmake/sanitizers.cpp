// What a program built with a sanitizer does by default, however it is started; ASAN_OPTIONS, LSAN_OPTIONS and TSAN_OPTIONS
// add to it. Only what is not ours is suppressed, each with its reason.

extern "C" {

// What has been found ends the process: a report that scrolls by is none.
const char* __tsan_default_options() { return "halt_on_error=1:second_deadlock_stack=1"; }

const char* __lsan_default_options() { return "print_suppressions=0"; }

const char* __lsan_default_suppressions() {
    return
        // libedit copies the names of the functions that a program adds to it, and el_end does not let them go.
        "leak:wcsdup\n";
}

const char* __tsan_default_suppressions() {
    return
        // LLVM is not instrumented: the sanitizer does not see its atomics, and takes what they order for a race.
        "called_from_lib:libLLVM\n"
        // Nor a lock that LLVM takes in there and gives back in a header's own code.
        "mutex:llvm_engine::Compiler::Implementation\n";
}

}  // extern "C"
