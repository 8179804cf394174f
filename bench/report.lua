-- wrk's figures as one line of JSON: exact, and without units to parse.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%.1f,"p99":%.1f,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end

-- Whatever host a URL names, it is here: the name goes into the request, and into TLS.
function wrk.resolve(_host, service)
  wrk.addrs = wrk.lookup("127.0.0.1", service)
end
