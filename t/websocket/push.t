#!/usr/bin/perl

# Pushes of services: what the path means, what becomes of the body, answers,
# and which requests are refused.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP ();
use NgxGatewayHTTP2;
use NgxGatewayPush;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep time );

my $http2 = NgxGatewayNginx::free_port();

my $gate = NgxGatewayPush->new(
    serve => 'gateway_websocket_max_queue 3; gateway_websocket_send_timeout '
             . '1s; gateway_websocket_disconnect '
             . '/service/gone?only=disconnect&$args;',
    push => 'client_max_body_size 8k; gateway_websocket_max_message 5000;',
    server => <<'_EOC_',
        location /file/ {
            client_body_in_file_only clean;
            gateway_websocket_push zone=clients;
        }

        location /if/ {
            gateway_websocket_push zone=clients;

            if ($http_x_if) {
                set $a b;
                add_header X-If yes;
            }
        }

        location /limited/ {
            gateway_websocket_push zone=clients;

            limit_except GET {
                deny all;
            }
        }

        location /aside/ {
            mirror /push/groups/mirrored;
            proxy_pass http://service/aside;
        }

        location /text/ {
            gateway_websocket_push zone=clients type=text;
        }

        location /binary/ {
            gateway_websocket_push type=binary zone=clients;

            limit_except GET {
                allow all;
            }
        }

        location /error/ {
            gateway_websocket_push zone=clients;
            error_page 410 =404 /error.txt;
        }

        location = /error.txt {
            return 404 "mine";
        }
_EOC_
    http => <<"_EOC_",
    server {
        listen 127.0.0.1:$http2 http2;

        location /push/ {
            gateway_websocket_push zone=clients;
        }
    }
_EOC_
);

my $service = $gate->service();
my $text = 'text/plain; charset=utf-8';
my $smile = "\xf0\x9f\x98\x80";

# The answer must be this problem.

sub problem {
    my ($answer, $code, $detail, $name) = @_;

    my $body = eval { JSON::PP::decode_json($answer->{body} // '') } // {};

    return is(join(' ', $answer->{code}, $answer->{headers}{'content-type'},
                   $body->{status}, $body->{detail}),
              "$code application/problem+json $code $detail", $name);
}

sub says {
    return $gate->says($gate->push(@_));
}


# A connection

{
    my $ws = $gate->join('');
    my $uri = "/push/$ws->{id}";

    for my $row (
        [ undef, 'text', 'plain' ],
        [ 'text/plain', 'text', "a $smile" ],
        [ 'text/plain; charset=utf-8', 'text', 'b' ],
        [ 'TEXT/Html', 'text', '<p>' ],
        [ 'application/json', 'text', '{"a":1}' ],
        [ 'application/problem+json', 'text', '{}' ],
        [ 'application/xml', 'text', '<a/>' ],
        [ 'application/octet-stream', 'binary', "\0\xff" ],
        [ 'image/png', 'binary', 'png' ],
        [ undef, 'binary', "\xff\xfe" ],
        [ 'application/x-www-form-urlencoded', 'binary', "\xff" ],
        [ 'application/x-www-form-urlencoded', 'text', 'a=b' ],
        [ undef, 'text', 'x' x 5000 ],
        [ undef, 'text', '' ])
    {
        my ($type, $opcode, $body) = @$row;
        my $answer = $gate->push('POST', $uri, $body,
                                 defined $type ? ('Content-Type' => $type)
                                               : ());

        is($gate->says($answer), '200 {"reached":1}', $type // 'no type');
        is($answer->{headers}{'content-type'}, 'application/json', 'as JSON');

        my $message = $ws->read_message();

        is($message->{opcode}, $opcode eq 'text' ? 1 : 2, 'arrives as such');
        is($message->{payload}, $body, 'as it was');
    }

    problem($gate->push('POST', $uri, "a\xff", 'Content-Type' => 'text/plain'),
            400, 'A text is UTF-8, which the request body is not.',
            'a text that is none');
    problem($gate->push('POST', $uri, "{\"\xc0\x80\"}",
                        'Content-Type' => 'application/json'),
            400, 'A text is UTF-8, which the request body is not.',
            'JSON that is none');
    for my $row ([ '/text/', 'application/octet-stream', 1 ],
                 [ '/text/', undef, 1 ],
                 [ '/binary/', 'text/plain', 2 ],
                 [ '/binary/', undef, 2 ])
    {
        my ($where, $type, $opcode) = @$row;

        is(says('POST', $where . $ws->{id}, $smile,
                defined $type ? ('Content-Type' => $type) : ()),
           '200 {"reached":1}', "$where of " . ($type // 'no type'));
        is($ws->read_message()->{opcode}, $opcode, 'arrives as is configured');
    }

    problem($gate->push('POST', "/text/$ws->{id}", "a\xff",
                        'Content-Type' => 'application/octet-stream'),
            400, 'A text is UTF-8, which the request body is not.',
            'type=text of what is none');
    problem($gate->push('POST', $uri, 'x' x 5001), 413,
            'The request body is larger than a message may be.',
            'a body that is too large');

    my $answer = $gate->push(GET => $uri);

    is($answer->{code}, 200, 'GET');

    my $is = JSON::PP::decode_json($answer->{body});

    is(join(',', sort keys %$is),
       'connectedAt,connectionId,groups,identity,lastActiveAt,queued',
       'says what it is');
    is($is->{connectionId}, $ws->{id}, 'with its id');
    like($is->{$_}, qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z/, $_)
        for qw( connectedAt lastActiveAt );
    is($is->{identity}{sourceIp}, '127.0.0.1', 'address');
    is_deeply($is->{groups}, [], 'no groups');
    is($is->{queued}, 0, 'nothing waits');

    $answer = $gate->push(HEAD => $uri);
    is($gate->says($answer), '200', 'HEAD');
    is($answer->{headers}{'content-length'}, length $gate->push(GET => $uri)
                                                    ->{body}, 'of the same');

    # the same id, as others write it

    is(says(POST => '/push/' . uc $ws->{id}, 'up'), '200 {"reached":1}',
       'upper case');
    is($ws->read_text(), 'up', 'is the same');
    is(says(POST => "/push/some/where/$ws->{id}?a=b", 'deep'),
       '200 {"reached":1}', 'the last segment counts');
    is($ws->read_text(), 'deep', 'for it');
    is(says(POST => "/push/groups/$ws->{id}", 'x'), '200 {"reached":0}',
       'a group may look like an id');

    is(says(DELETE => $uri), '204', 'DELETE');
    is($gate->closes($ws), '1000', 'closes it');

    ok($gate->wait(sub { says(POST => $uri, 'x') =~ /^410/ }), 'then');

    problem($gate->push('POST', $uri, 'x'), 410,
            'There is no such connection, or none any more.', 'it is gone');
    problem($gate->push($_ => $uri), 410,
            'There is no such connection, or none any more.', "also for $_")
        for qw( GET DELETE );

    like($gate->push(GET => $uri)->{head}, qr/\AHTTP\/1.1 410 Gone\r/,
         'by its name');
    is($gate->push(HEAD => $uri)->{code}, 410, 'HEAD');
}


# What is no connection

{
    my $id = 'a' x 32;

    for (1 .. 200) {
        $id = join '', map { sprintf '%02x', int rand 256 } 1 .. 16;
        last if $gate->push(POST => "/push/$id", 'x')->{code} != 410;
    }

    is($gate->push(POST => "/push/$id", 'x')->{code}, 410,
       'ids that are guessed');
    is(says(POST => '/push/' . 'a' x 31, 'x'), '200 {"reached":0}',
       'a digit less is a group');
    is(says(POST => '/push/' . 'a' x 31 . 'g', 'x'), '200 {"reached":0}',
       'other letters as well');

    for my $uri ('/push/', '/push/groups/', '/push/groups/-a', '/push/a,b',
                 '/push/a%20b', '/push/groups/' . 'a' x 65, '/push/%C3%A9',
                 '/push/groups/*')
    {
        problem($gate->push(POST => $uri, 'x'), 404,
                'The path names neither a connection nor a group.', $uri);
    }
}


# Groups

{
    my $a = $gate->join('a,b');
    my $b = $gate->join('a');
    my $c = $gate->join('c.c:c@c~c-c_C9');

    is(says(POST => '/push/groups/a', 'to a'), '200 {"reached":2}', 'a group');
    is($_->read_text(), 'to a', 'arrives') for $a, $b;

    is(says(POST => '/push/b', 'to b'), '200 {"reached":1}', 'the short way');
    is($a->read_text(), 'to b', 'arrives');

    is(says(POST => '/push/groups/c.c:c@c~c-c_C9', 'to c'),
       '200 {"reached":1}', 'any letter that may be');
    is($c->read_text(), 'to c', 'arrives');

    is(says(POST => '/push/groups/none', 'x'), '200 {"reached":0}',
       'a group without members');
    is(says(GET => '/push/groups/a'), '200 {"group":"a","connections":2}',
       'how many they are');
    is(says(GET => '/push/groups/none'),
       '200 {"group":"none","connections":0}', 'or none');
    is(says(HEAD => '/push/groups/a'), '200', 'HEAD');

    my $is = JSON::PP::decode_json($gate->push(GET => "/push/$a->{id}")
                                   ->{body});
    is(join(',', sort @{ $is->{groups} }), 'a,b', 'groups of a connection');

    # by answers to messages

    for my $row ([ '-a,d', 'b,d' ], [ '-*,e', 'e' ], [ 'e,e', 'e' ],
                 [ '-x', 'e' ], [ 'f,-f', 'e' ], [ '-e, g ,h', 'g,h' ],
                 [ '-*', '' ], [ 'i,-*,j', 'j' ])
    {
        my ($change, $want) = @$row;

        $a->send_text("!groups=$change&body=ok");
        is($a->read_text(), 'ok', $change);

        $is = JSON::PP::decode_json($gate->push(GET => "/push/$a->{id}")
                                    ->{body});
        is(join(',', sort @{ $is->{groups} }), $want, "then \"$want\"");
    }

    # all or nothing

    for my $change ('k,-', 'k,a b', 'k,' . 'x' x 65, 'k,é', 'k,--a',
                    join(',', map { "g$_" } 1 .. 65))
    {
        $a->send_text("!groups=$change&body=ok");
        like($a->read_text(), qr/"status":502/, 'what is malformed');
    }

    is($gate->push(GET => '/push/groups/k')->{body} =~ /:0}/, 1,
       'changes nothing');

    $a->send_text('!groups=-*,' . join(',', map { "g$_" } 1 .. 64)
                  . '&body=ok');
    is($a->read_text(), 'ok', '64 groups');
    is(says(POST => "/push/groups/g64", 'last'), '200 {"reached":1}',
       'are groups');
    is($a->read_text(), 'last', 'all of them');

    is(says(DELETE => '/push/groups/a'), '200 {"reached":1}',
       'a group is closed');
    is($gate->closes($b), '1000', 'with all its members');
    ok($gate->members('a', 0), 'and has none then');

    $a->abort();
    ok($gate->members('g1', 0), 'who is gone is no member');
    ok($gate->members('g64', 0), 'anywhere');
}


# Codes

{
    for my $row ([ '1000', '1000' ], [ '4000 so long', '4000 so long' ],
                 [ '1013 try again', '1013 try again' ],
                 [ '4999 ' . 'x' x 123, '4999 ' . 'x' x 123 ],
                 [ "3000 $smile", "3000 $smile" ])
    {
        my ($value, $want) = @$row;
        my $ws = $gate->join('');

        is(says(DELETE => "/push/$ws->{id}", undef, 'Gateway-Close' => $value),
           '204', "closes: $value");
        is($gate->closes($ws), $want, 'arrives');
    }

    my $ws = $gate->join('');

    for my $value ('', '999', '1005', '1006', '1015', '5000', 'abc', '1000x',
                   '4999 ' . 'x' x 124, "4000 \xff")
    {
        problem($gate->push('DELETE', "/push/$ws->{id}", undef,
                            'Gateway-Close' => $value), 400,
                'Gateway-Close has to be a code that may be sent, and a '
                . 'reason of 123 bytes at most.', "not $value");
    }

    problem($gate->push('DELETE', "/push/$ws->{id}", undef,
                        'Gateway-Close' => 4000, 'Gateway-Close' => 4001), 400,
            'Gateway-Close has to be a code that may be sent, and a reason '
            . 'of 123 bytes at most.', 'nor two');

    is($gate->push(GET => "/push/$ws->{id}")->{code}, 200, 'it is still open');
}


# Requests in all forms

{
    my $ws = $gate->join('');
    my $uri = "/push/$ws->{id}";
    my $c = $gate->connection();

    for my $i (1 .. 3) {
        is($gate->says($c->request(POST => $uri, "keep $i")),
           '200 {"reached":1}', 'one connection');
        is($ws->read_text(), "keep $i", 'many pushes');
    }

    is($c->request(POST => $uri, "a\xff", 'Content-Type' => 'text/plain')
       ->{code}, 400, 'what is refused');
    $c = $gate->connection();
    is($c->request(PUT => $uri, 'x' x 3000)->{code}, 405, 'with a body');
    is($c->request(POST => '/push/', 'x' x 3000)->{code}, 404,
       'leaves the connection');
    is($c->request(DELETE => '/push/groups/none', 'x' x 3000)->{code}, 200,
       'also where it is not looked at');
    is($c->request(POST => $uri, 'after')->{code}, 200, 'as it was');
    is($ws->read_text(), 'after', 'for others');

    $c = $gate->connection();
    $c->send(POST => $uri, "pipelined $_") for 1 .. 3;
    is($c->answer()->{code}, 200, 'pipelined') for 1 .. 3;
    is($ws->read_text(), "pipelined $_", 'in order') for 1 .. 3;

    for my $method (qw( PUT PATCH OPTIONS )) {
        my $answer = $gate->push($method => $uri, '');

        problem($answer, 405, 'A push has another method.', $method);
        is($answer->{headers}{allow}, 'GET, HEAD, POST, DELETE', 'Allow');
    }

    my $chunked = $gate->connection();

    syswrite $chunked->{socket}, "POST $uri HTTP/1.1\r\nHost: a\r\n"
                                 . "Transfer-Encoding: chunked\r\n\r\n"
                                 . "3\r\nabc\r\n";
    sleep 0.05;
    syswrite $chunked->{socket}, "3\r\ndef\r\n0\r\n\r\n";
    is($chunked->answer()->{code}, 200, 'chunked');
    is($ws->read_text(), 'abcdef', 'arrives');

    $chunked = $gate->connection();
    syswrite $chunked->{socket}, "POST $uri HTTP/1.1\r\nHost: a\r\n"
                                 . "Transfer-Encoding: chunked\r\n\r\n"
                                 . "1770\r\n" . 'x' x 6000 . "\r\n0\r\n\r\n";
    problem($chunked->answer(), 413,
            'The request body is larger than a message may be.',
            'chunked and too large');

    is(says(POST => "/file/$ws->{id}", 'from a file'), '200 {"reached":1}',
       'a body in a file');
    is($ws->read_text(), 'from a file', 'arrives');
    is(says(POST => "/file/$ws->{id}", 'y' x 50000), '200 {"reached":1}',
       'a large one');
    is($ws->read_text(), 'y' x 50000, 'arrives, too');

    is(says(POST => "/if/$ws->{id}", 'if', 'X-If' => 1), '200 {"reached":1}',
       '"if" in its location');
    is($ws->read_text(), 'if', 'arrives');

    is($gate->push(POST => "/limited/$ws->{id}", 'x')->{code}, 403,
       'limit_except');
    is($gate->push(GET => "/limited/$ws->{id}")->{code}, 200, 'lets through');
    is(says(GET => '/error/' . 'a' x 32), '404 mine', 'error_page');

    my $mirrored = $gate->join('mirrored');

    is($gate->push(POST => '/aside/x', 'seen')->{code}, 200, 'a mirror');
    is($mirrored->read_text(), 'seen', 'pushes');

    is($gate->push(GET => $uri, undef, 'If-Modified-Since' =>
                   'Fri, 01 Jan 2100 00:00:00 GMT')->{code}, 200,
       'never not modified');
}


# HTTP/2

{
    my $ws = $gate->join('two');
    my $h2 = NgxGatewayHTTP2->new($http2);
    my @bodies = map { "h2 $_" } 1 .. 20;

    my @streams = $h2->send(
        (map { [ 'POST', "/push/$ws->{id}", '' => $_ ] } @bodies),
        [ 'POST', '/push/groups/two', '' => 'x' x 16000 ],
        [ 'GET', "/push/$ws->{id}" ], [ 'HEAD', "/push/$ws->{id}" ],
        [ 'PUT', "/push/$ws->{id}", '' => 'x' ],
        [ 'POST', '/push/groups/none', '' => 'x' x 15000 ],
        [ 'POST', '/push/' . 'f' x 32, '' => 'x' ]);
    my @answers = $h2->answers(@streams);

    is(join(' ', map { $_->{code} } @answers),
       '200 ' x 23 . '405 200 410', 'many streams at once');
    is($answers[0]{body}, "{\"reached\":1}\n", 'with their answers');

    my @got = map { $ws->read_text() // 'none' } @bodies, 'group';

    is(join(',', sort @got), join(',', sort @bodies, 'x' x 16000),
       'all arrive');

    my ($end) = $h2->answers($h2->send([ 'DELETE', "/push/$ws->{id}" ]));

    is($end->{code}, 204, 'DELETE');
    is($gate->closes($ws), '1000', 'closes');
}


# A client that does not read

{
    my $ws = $gate->join('slow', rcvbuf => 4096,
                         args => 'slow=1');
    my ($reached, $answer) = (0);

    for (1 .. 2000) {
        $answer = $gate->push(POST => "/push/$ws->{id}", 'z' x 5000);
        last if $answer->{code} != 200;
        $reached++;
    }

    problem($answer, 429, 'Too many messages wait for the client.',
            'a client that does not read');
    like($answer->{head}, qr/\AHTTP\/1.1 429 Too Many Requests\r/, 'by name');
    is(says(POST => '/push/groups/slow', 'x'), '200 {"reached":0,"full":1}',
       'a group of such');

    my $is = JSON::PP::decode_json($gate->push(GET => "/push/$ws->{id}")
                                   ->{body});

    ok($is->{queued} >= 3, 'what waits');

    my $n = 0;

    $n++ while $n < $reached && defined $ws->read_text();

    is($n, $reached, 'all that was taken arrives');
    ok($gate->wait(sub {
        says(POST => "/push/$ws->{id}", 'again') eq '200 {"reached":1}'
    }), 'then it takes more');
    is($ws->read_text(), 'again', 'which arrives');
}


# GRIP's publish API

{
    my $a = $gate->join('room,other');
    my $b = $gate->join('room');

    sub items {
        return '{"items":[' . join(',', @_) . ']}';
    }

    sub item {
        my ($channel, $message, $more) = @_;

        return "{\"channel\":\"$channel\",\"formats\":{\"ws-message\":"
               . "{$message}}" . ($more // '') . '}';
    }

    for my $uri ('/push/publish/', '/push/publish') {
        my $answer = $gate->push(POST => $uri,
                                 items(item('room', '"content":"hi"')));

        is($gate->says($answer), '200 Published', $uri);
        is($answer->{headers}{'content-type'}, 'text/plain', 'as text');
        is($_->read_text(), 'hi', 'arrives') for $a, $b;
    }

    is(says(POST => '/push/publish/', items(), Accept => 'application/json'),
       '200 {"message":"Published"}', 'nothing, as JSON');

    is(says(POST => '/push/publish/',
            items(item('room', '"content":"1"'), item('other', '"content":"2"'),
                  item('room/3', '"content":"x"'), item('-*', '"content":"x"'),
                  item('room', '"content-bin":"/w=="'),
                  item('none', '"content":"x"'))),
       '200 Published', 'many items');
    is($a->read_text(), '1', 'the first');
    is($a->read_text(), '2', 'the second');
    is($a->read_message()->{payload}, "\xff", 'the last');
    is($b->read_text(), '1', 'of the other client');
    is($b->read_message()->{opcode}, 2, 'which is binary');

    is($gate->push(POST => '/push/publish/', $_)->{code}, 400,
       "malformed: $_")
        for '', '{', '{}', '{"items":1}', items('1'),
            items(item('room', '"content":"x"'), '{"formats":{}}');

    is(says(POST => '/push/groups/publish', 'x'), '200 {"reached":0}',
       'a group of that name');

    my $answer = $gate->push(GET => '/push/publish/');

    is($answer->{code}, 405, 'GET');
    is($answer->{headers}{allow}, 'POST', 'Allow');

    is(says(POST => '/push/publish/',
            items(item('other', '"action":"close","code":4001'),
                  item('room', '"action":"close"'))),
       '200 Published', 'close');
    is($gate->closes($a), '4001', 'with a code');
    is($gate->closes($b), '1000', 'without');
}


# The end of a connection while it is pushed to

{
    my @all = map { $gate->join('churn') } 1 .. 30;
    my @ids = map { $_->{id} } @all;
    my %codes;

    for my $i (0 .. $#all) {
        $all[$i]->abort() if $i % 3 == 0;
        $all[$i]->send_close(1000) if $i % 3 == 1;
        $codes{ $gate->push(POST => "/push/$ids[$i]", 'x')->{code} }++;
        $gate->push(POST => '/push/groups/churn', 'y');
    }

    is(join(',', grep { !/\A(?:200|410)\z/ } keys %codes), '',
       'taken, or gone');
    ok($codes{200}, 'those that stay are reached');
    undef @all;
    ok($gate->members('churn', 0), 'then there is none');
}

$gate->finish();

done_testing();
