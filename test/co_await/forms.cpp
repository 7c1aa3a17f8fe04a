// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.

// Each form of building an object in an expression with co_await, tried with GCC 12.2: it copies the marked ones bit by
// bit and destroys both copies, or does not compile them. co_await.sh has to find these lines, and no others.
#include <array>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

struct task
{
    struct promise_type
    {
        task get_return_object() { return {}; }
        std::suspend_never initial_suspend() { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
};

struct pause
{
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<>) {}
    int await_resume() { return 1; }
};

struct options
{
    std::string name;
    int number = 0;
};
struct nested
{
    options inner;
};
struct derived : options
{
};
struct numbers
{
    int one = 1;
    int two = 2;
};
struct refers
{
    std::string const& name;
};
struct pointers
{
    std::shared_ptr<int> members[2];
};
class constructed
{
public:
    constructed() = default;
    explicit constructed(options o) : o_(std::move(o)) {}

private:
    options o_;
};

options make();
int use(options const&);
pause now();
pause by_reference(options const&);
pause by_value(options);
pause maybe(std::optional<options> const&);
pause defaulted(options const& = {});
pause text(std::string const&);
pause calls(std::function<void()> const&);
pause list(std::vector<std::string> const&);
pause pair(std::pair<std::string, int> const&);
pause number(int);
template <class T>
pause any(T const&);
template <class T>
pause any_value(T);

template <class T>
task in_a_template(T const& value)
{
    co_await any([value] { return 1; }); // bad
    co_await any(value);
}

template task in_a_template(std::string const&);

template <class T>
task in_a_harmless_template(T const& value)
{
    co_await any([value] { return 1; });
}

template task in_a_harmless_template(int const&);

task lambdas(std::string s, int n)
{
    co_await any([s] { return 1; });                    // bad
    co_await any_value([s] { return 1; });              // bad
    co_await any([t = std::string{"x"}] { return 1; }); // bad
    co_await any([s](auto) { return 1; });              // bad
    co_await number([s] { return 1; }());               // bad
    co_await calls([s] {});                             // bad
    int sum = use(options{}) +                          // bad
              co_await now();
    auto with_await = [s, m = co_await now()] { return m; }; // bad
    co_await any([] { return 1; });
    co_await any([n] { return n; });
    co_await any([&] { return n; });
    co_await any([p = &s] { return p; });
    auto const named = [s] { return 1; };
    co_await any(named);
    co_await any([](std::string const& t) -> task { co_await text(t); });
    co_await by_value([&] { return options{"x", n}; }());
    (void)sum;
    (void)with_await;
}

task braces(std::string s, options o)
{
    co_await by_reference({});                                                   // bad
    co_await by_reference({"x", 1});                                             // bad
    co_await by_reference({.number = 1});                                        // bad
    co_await by_reference(options{});                                            // bad
    co_await by_reference((options{}));                                          // bad
    co_await by_value({});                                                       // bad
    co_await by_value(options{s});                                               // bad
    co_await by_value(std::move(options{}));                                     // bad
    co_await maybe(options{});                                                   // bad
    co_await maybe({{"x"}});                                                     // bad
    co_await any(nested{});                                                      // bad
    co_await any(nested{{"x", 1}});                                              // bad
    co_await any(derived{});                                                     // bad
    co_await any(constructed{options{}});                                        // bad
    co_await any(pointers{});                                                    // bad
    co_await any(std::array<std::string, 2>{});                                  // bad
    co_await number(use(options{}));                                             // bad
    co_await text(options{}.name);                                               // bad
    co_await by_reference(options("x", 1));                                      // bad
    co_await defaulted();                                                        // bad
    options const first{"x", co_await now()};                                    // bad
    options const second = {"x", co_await now()};                                // bad
    o = options{"x", co_await now()};                                            // bad
    auto const shared = std::make_shared<options>(options{"x", co_await now()}); // bad
    if (co_await by_reference(options{}) == 1)                                   // bad
        o.number = 2;
    try
    {
        co_await by_reference(options{}); // bad
    }
    catch (...)
    {
    }

    co_await by_reference(options());
    co_await by_reference(options(o));
    co_await by_reference(options{o});
    co_await by_reference(make());
    co_await by_value(make());
    co_await by_value(o);
    co_await by_value(std::move(o));
    co_await by_value(static_cast<options>(o));
    co_await any(numbers{.two = 3});
    co_await any(refers{s});
    co_await any(constructed{});
    co_await any(constructed{make()});
    co_await maybe({});
    co_await maybe(std::nullopt);
    co_await maybe(std::optional<options>{std::in_place, "x", 1});
    co_await defaulted(make());
    options const named{"x", 1};
    co_await by_reference(named);
    auto const operation = by_reference(options{});
    (void)operation;
    auto const written_here = std::pair{options{"x", 1}, [](std::string const& t) -> task { co_await text(t); }};
    (void)written_here;
    std::optional<options> emplaced;
    emplaced.emplace("x", co_await now());
}

task constructors(std::string s)
{
    co_await text("x");
    co_await text({});
    co_await text(std::string{"x"});
    co_await text(std::string{"x"} + s);
    co_await pair({"x", 1});
    co_await pair(std::pair<std::string, int>{"x", 1});
    co_await pair(std::make_pair(s, 1));
    co_await any(std::make_shared<int>(1));
    co_await any(std::function<void()>{});
    std::string const filled(static_cast<std::size_t>(co_await now()), 'x');
    (void)filled;
}

task lists(std::string s)
{
    co_await list({"x", "y"});                     // bad
    co_await list(std::vector<std::string>{s, s}); // bad
    co_await any(std::vector<int>{1, 2});          // bad
    co_await list(std::vector<std::string>(2, s));
}

task conditionals(bool b, std::string s, std::string t)
{
    co_await text(b ? s : std::string{"x"});                                              // bad
    co_await text(b ? std::string{"x"} : std::string{"y"});                               // bad
    co_await any_value(b ? make() : make());                                              // bad
    std::string const chosen = co_await now() == 1 ? std::string{"x"} : std::string{"y"}; // bad
    co_await text(b ? s : t);
    co_await any_value(b ? std::move(s) : std::move(t));
    co_await number(b ? 1 : 2);
    co_await number(b ? use(make()) : 2);
    int const waited = b ? co_await text(std::string{"x"}) : 0;
    (void)chosen;
    (void)waited;
}

} // namespace
