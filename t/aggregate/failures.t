
# Each way in which a part can fail, as a required part, as an optional one,
# and as one with a default.

use strict;
use warnings;

use lib 't/lib';
use NgxGatewayBackend;
use NgxGatewayNginx;

use Test::More;

my $STATUS = 'its status is not one of success';
my $CUT = 'the answer was cut off';
my $INVALID = 'no server gave a valid answer';
my $TYPE = 'Content-Type';
my $JSON = 'application/json';

sub chunked {
    my (@steps) = @_;

    my $head = answer(200, '', $TYPE => $JSON,
                      'Transfer-Encoding' => 'chunked');

    return [ $head . shift @steps, @steps ];
}

# name => answer, status of the whole, status of the part, reason

my @cases = (
    timeout_header => [ [ [ 'hang' ] ], 504, 504, 'it timed out' ],
    timeout_body => [ [ json('{"a":', 100), [ 'hang' ] ], 502, 200, $CUT ],
    reset_header => [ [ "HTTP/1.1 200 OK\r\nX-A: 1\r\n", [ 'reset' ] ],
                      502, 502, $INVALID ],
    close_header => [ [ [ 'close' ] ], 502, 502, $INVALID ],
    reset_body => [ [ json('{"a":', 100), [ sleep => 0.01 ], [ 'reset' ] ],
                    502, 200, $CUT ],
    short => [ [ json('{"a":1}', 8), [ 'close' ] ], 502, 200, $CUT ],
    short_valid => [ [ json('{"a":1}', 100), [ 'close' ] ], 502, 200, $CUT ],
    chunk_cut => [ chunked("7\r\n{\"a\":1}\r\n", [ 'close' ]),
                   502, 200, $CUT ],
    chunk_short => [ chunked("8\r\n{\"a\":1}", [ 'close' ]),
                     502, 200, $CUT ],
    chunk_bad => [ chunked("zz\r\n{\"a\":1}\r\n", [ 'close' ]),
                   502, 200, $CUT ],
    http10_cut => [ [ "HTTP/1.0 200 OK\r\n\r\n{\"a\":1", [ 'close' ] ],
                    502, 200, 'the answer ends too early at byte 6' ],
    status_204 => [ answer(204, ''), 502, 204, 'the answer is empty' ],
    status_304 => [ answer(304, ''), 502, 304, $STATUS ],
    status_400 => [ answer(400, '{}', 'Content-Length' => 2),
                    502, 400, $STATUS ],
    status_404 => [ answer(404, '', 'Content-Length' => 0),
                    502, 404, $STATUS ],
    status_499 => [ answer(499, '', 'Content-Length' => 0),
                    502, 499, $STATUS ],
    status_500 => [ answer(500, '{"e":1}', 'Content-Length' => 7),
                    502, 500, $STATUS ],
    status_502 => [ answer(502, '', 'Content-Length' => 0),
                    502, 502, $STATUS ],
    status_503 => [ answer(503, '', 'Content-Length' => 0),
                    502, 503, $STATUS ],
    status_504 => [ answer(504, '', 'Content-Length' => 0),
                    502, 504, $STATUS ],
    status_600 => [ answer(600, '', 'Content-Length' => 0),
                    502, 600, $STATUS ],
    redirect => [ answer(302, '', Location => '/r/good',
                         'Content-Length' => 0), 502, 302, $STATUS ],
    empty => [ json(''), 502, 200, 'the answer is empty' ],
    blanks => [ json(" \n "), 502, 200, qr/the answer [a-z ]+ at byte 3/ ],
    two_values => [ json('{} {}'), 502, 200, qr/the answer .* at byte 3/ ],
    bom => [ json("\xef\xbb\xbf{}"), 502, 200,
             qr/the answer starts with a byte order mark at byte \d/ ],
    nul => [ json("{\"a\":\"\0\"}"), 502, 200, qr/the answer .* at byte 6/ ],
    nul_after => [ json("{}\0"), 502, 200, qr/the answer .* at byte 2/ ],
    utf8_bad => [ json("\"\xff\""), 502, 200, qr/.*UTF-8.* at byte 1/ ],
    utf8_long => [ json("\"\xc0\xaf\""), 502, 200, qr/.*UTF-8.* at byte 1/ ],
    utf8_surrogate => [ json("\"\xed\xa0\x80\""), 502, 200,
                        qr/.*UTF-8.* at byte [12]/ ],
    utf8_cut => [ json("\"\xc3\""), 502, 200, qr/.*UTF-8.* at byte [12]/ ],
    deep_65 => [ json('[' x 65 . ']' x 65), 502, 200,
                 qr/the answer .* at byte 64/ ],
    html => [ answer(200, '<html>', $TYPE => 'text/html',
                     'Content-Length' => 6),
              502, 200, 'the answer is not JSON, nor is its type' ],
    html_as_json => [ json('<html>'), 502, 200,
                      qr/the answer .* at byte 0/ ],
    gzip => [ answer(200, '{"a":1}', $TYPE => $JSON, 'Content-Length' => 7,
                     'Content-Encoding' => 'gzip'),
              502, 200, 'the answer is compressed' ],
    bad_header => [ [ "HTTP/1.1 200 OK\r\nbad\0header: 1\r\n\r\n{}",
                      [ 'close' ] ], 502, 502, $INVALID ],
    big_header => [ [ "HTTP/1.1 200 OK\r\nX: " . 'a' x 20000 . "\r\n\r\n{}",
                      [ 'close' ] ], 502, 502, $INVALID ],
    too_large => [ json('"' . 'a' x 9000 . '"'), 502, 200,
                   'the answer is too large' ],
    too_large_chunked => [ chunked(sprintf("%x\r\n\"%s", 9001, 'a' x 9000),
                                   "\r\n1\r\n\"\r\n0\r\n\r\n"),
                           502, 200, 'the answer is too large' ],
    too_large_close => [ [ "HTTP/1.1 200 OK\r\n\r\n\"" . 'a' x 9000 . '"',
                           [ 'close' ] ],
                         502, 200, 'the answer is too large' ],
    endless => [ [ "HTTP/1.1 200 OK\r\n\r\n\"" . 'a' x 1000000,
                   [ 'hang' ] ], 502, 200, 'the answer is too large' ],
    endless_error => [ [ "HTTP/1.1 500 OK\r\n\r\n\"" . 'a' x 1000000,
                         [ 'hang' ] ], 502, 500, $STATUS ],

    # core's own, in the part's location; with 408, 444 and 499 it sends
    # nothing

    refused => [ 'proxy_pass http://127.0.0.1:1;', 502, 502, $INVALID ],
    no_server => [ 'proxy_pass http://none;', 502, 502, $INVALID ],
    return_404 => [ 'return 404;', 502, 404, $STATUS ],
    return_403 => [ 'return 403 "{}";', 502, 403, $STATUS ],
    return_503 => [ 'return 503;', 502, 503, $STATUS ],
    return_408 => [ 'return 408;', 502, undef, $CUT ],
    return_499 => [ 'return 499;', 502, undef, $CUT ],
    return_444 => [ 'return 444;', 502, undef, $CUT ],
    return_301 => [ 'return 301 /r/good;', 502, 301, $STATUS ],
    return_204 => [ 'return 204;', 502, 204, 'the answer is empty' ],
    no_file => [ 'root %DIR%;', 502, 404, $STATUS ],
    denied => [ 'limit_req zone=none; limit_req_status 429;', 502, 429,
                $STATUS ],
);

my %answers = ('/good' => json('{"id":1}'));
my ($locations, $parts) = ('', '');
my @tests;

while (my ($name, $case) = splice @cases, 0, 2) {
    my ($answer, $code, $status, $reason) = @$case;

    if (!ref $answer && $answer !~ /^HTTP/) {
        $parts .= "location = /_part/$name { $answer }\n";

    } else {
        $answers{"/$name"} = $answer;
    }

    for my $kind ([ r => '' ], [ o => 'optional' ],
                  [ d => q{'default={"d":[12.50]}'} ])
    {
        $locations .= <<"_EOC_";
        location = /$kind->[0]/$name {
            gateway_aggregate {
                part good /_part/good;
                part bad /_part/$name $kind->[1];
            }
        }
_EOC_
    }

    push @tests, [ $name, $code, $status, $reason ];
}

my $backend = NgxGatewayBackend->new(%answers);

my $nginx = NgxGatewayNginx->new(
    http => <<'_EOC_',
    upstream none {
        server 127.0.0.1:1 down;
    }

    limit_req_zone all zone=none:64k rate=1r/m;
_EOC_
    server => <<"_EOC_",
        gateway_aggregate_max_part_size 8k;
        gateway_aggregate_timeout 5s;

$locations
$parts
        location /_part/ {
            internal;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 150ms;
            proxy_pass http://127.0.0.1:@{[ $backend->port() ]}/;
        }

        location = /status {
            stub_status;
        }
_EOC_
);

$nginx->start();

# uses the zone's only request

$nginx->get('/o/denied');

for my $test (@tests) {
    my ($name, $code, $status, $reason) = @$test;

    my $answer = $nginx->get("/r/$name") // {};
    my $title = $code == 504 ? 'Gateway Timeout' : 'Bad Gateway';
    my $member = defined $status ? "\"status\":$status," : '';

    $reason = ref $reason ? $reason : quotemeta $reason;

    is($answer->{code}, $code, "$name: required");
    like($answer->{body},
         qr/\A\{"type":"about:blank","title":"\Q$title\E","status":$code,
            "detail":"a[ ]required[ ]part[ ]of[ ]the[ ]answer[ ]is[ ]missing",
            "instance":"[0-9a-f]{32}",
            "parts":\[\{"name":"bad",\Q$member\E"reason":"(?-x:$reason)"\}\]\}
            \n\z/x, "$name: the problem");
    is($answer->{headers}{'content-type'}, 'application/problem+json',
       "$name: its type");
    is($answer->{headers}{'gateway-aggregate'}, undef,
       "$name: no Gateway-Aggregate");

    $answer = $nginx->get("/o/$name") // {};

    is("$answer->{code} $answer->{body}", '200 {"good":{"id":1}}',
       "$name: optional");
    is($answer->{headers}{'gateway-aggregate'}, 'partial; missing="bad"',
       "$name: what is missing");

    $answer = $nginx->get("/d/$name") // {};

    is("$answer->{code} $answer->{body}",
       '200 {"good":{"id":1},"bad":{"d":[12.50]}}', "$name: default");
}

my $status = $nginx->get('/status') // { body => '' };

like($status->{body}, qr/^Active connections: 1 $/m,
     'no connection is left open');

my @log = grep { /part "bad" has failed/ } split /\n/, $nginx->error_log();

is(scalar(grep { /\[error\]/ } @log), scalar @tests,
   'an error in the log for each required part');
is(scalar(grep { /\[warn\]/ } @log), 2 * @tests + 1,
   'a warning for each optional one');

unlike($nginx->error_log(), qr/\[(?:alert|crit|emerg)\]|runtime error/,
       'nothing worse');

done_testing();
