// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/key_source.hpp"

#include <reprise/ticket_keys.hpp>

#include <utility>

namespace reprise {

ticket_keys ticket_keys::rotating(rotating_keys_options options)
{
    return ticket_keys{[options](detail::key_source_context const& context)
                       { return detail::make_rotating_source(options, context); }};
}

ticket_keys ticket_keys::from_files(file_keys_options options)
{
    return ticket_keys{[options = std::move(options)](detail::key_source_context const& context)
                       { return detail::make_file_source(options, context); }};
}

ticket_keys ticket_keys::shared(storage_ptr storage, shared_keys_options options)
{
    return ticket_keys{
        [storage = std::move(storage), options = std::move(options)](detail::key_source_context const& context)
        { return detail::make_shared_source(storage, options, context); }};
}

ticket_keys ticket_keys::from_callback(callback fetch, callback_keys_options options)
{
    return ticket_keys{[fetch = std::move(fetch), options](detail::key_source_context const& context)
                       { return detail::make_callback_source(fetch, options, context); }};
}

std::unique_ptr<detail::key_source> ticket_keys::make(detail::key_source_context const& context) const
{
    return make_(context);
}

} // namespace reprise
