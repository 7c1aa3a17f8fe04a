// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.

/* All functions of Asio that are no templates, for the library's other files, which see them declared only
   (BOOST_ASIO_SEPARATE_COMPILATION, a private definition). A program that uses reprise is free to use Asio header-only, or
   to compile it once itself:

   - Each function is weak here, because it is inline, and emitted, because it is "used". A program's own
     <boost/asio/impl/src.hpp> defines the same names strongly, and those win.
   - Asio's error categories are local variables of such functions, and are compared by address. In an inline function that
     variable is one for the whole program, also where a header-only program has the function inlined. The library's own
     files never inline it, so they ask whichever function the linker has kept.

   Compiled header-only, the library would have the categories inlined. Beside a program's own src.hpp each would exist
   twice then, and an error of the library would not equal asio::error::eof. */
#define BOOST_ASIO_DECL inline __attribute__((noinline, used))
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
