// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.

/* All non-template functions of Asio, for the library's other files. Those files see only declarations
   (BOOST_ASIO_SEPARATE_COMPILATION, a private definition). A program that uses reprise may use Asio header-only, or
   compile Asio once itself:

   - Each function is weak here, because it is inline, and emitted, because it is "used". A program's own
     <boost/asio/impl/src.hpp> defines the same names strongly, and the strong definitions win.
   - Asio's error categories are local variables of such functions, and are compared by address. In an inline function,
     that variable exists once per program, even where a header-only program has inlined the function. The library's own
     files never inline the function, so they call the copy that the linker kept.

   Compiled header-only, the library would have the categories inlined. Beside a program's own src.hpp, each category
   would then exist twice, and an error of the library would not equal asio::error::eof. */
#define BOOST_ASIO_DECL inline __attribute__((noinline, used))
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
