-- wrk sends the tokens of a file in turn, one per request.  Used with the same
-- file for the raw proxy and for the case beside it, so that what this script
-- costs is in both.

local requests, count, next_one = {}, 0, 0

function init(args)
    for token in io.lines(args[1]) do
        wrk.headers["Authorization"] = "Bearer " .. token
        count = count + 1
        requests[count] = wrk.format("GET")
    end
end

function request()
    next_one = next_one % count + 1
    return requests[next_one]
end
