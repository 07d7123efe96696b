#!/usr/bin/perl

# What the examples of docs/websocket-serve.md and docs/websocket-scaling.md
# do, beyond passing nginx -t; and what else these pages show.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use HTTP::Tiny;
use JSON::PP;
use NgxGatewayDocs;
use NgxGatewayJWT;
use NgxGatewayServe;
use NgxGatewayWebSocket;
use Test::More;
use Time::HiRes qw( sleep );

need_nginx();

my $dir = work_dir();
my ($port, $push, $east, $west) = free_ports(4);
my $page = slurp("$ROOT/docs/websocket-serve.md");
my %examples = map { $_->{heading} => $_ }
               map { examples("docs/$_.md") }
               qw( websocket-serve websocket-scaling );
my $nginx;

my $service = NgxGatewayServe->new(answer => sub {
    my ($request) = @_;

    my $event = $request->{event} // '';
    my ($user) = $request->{head} =~ /^X-User: (\w+)/m;
    my ($path, $args) = split /\?/, $request->{uri}, 2;

    return events($request->{body}) if $path eq '/websocket/';
    return 'status=204' if $event eq 'disconnect';
    return 'status=403' if ($args // '') =~ /name=eve/;

    return 'status=204&state=name%3Dann&groups='
           . (defined $user ? "user.$user" : 'lobby')
        if $event eq 'connect';

    return 'close=1000 see you&body=bye' if $path eq '/leave';
    return 'groups=-lobby,tea&body={"room":"tea"}' if $path eq '/move';
    return 'status=400&type=application/json&body='
           . '{"reason":"this is not the name of a room"}' if $path eq '/say';
    return 'delay=0.4' if $request->{body} =~ /slow/;
    return 'status=500' if $request->{body} =~ /fail/;
    return 'hold=it' if $request->{body} =~ /never/;
    return undef;
});


recipe('A gateway with a chat', sub {
    my $ws = client('/chat?name=ann');
    my $connect = $service->last('/connect');

    is($connect->{uri}, '/connect?name=ann', 'the service is asked');
    is($connect->{event}, 'connect', 'by this event');
    is(client('/chat?name=eve', any => 1)->status(), 403,
       'and can say no');

    $ws->send_text('{"what":1}');
    is($ws->read_text(), '{"what":1}', 'a message');

    my $request = $service->last('/other');

    is($service->header($request, 'Gateway-State'), 'name=ann', 'the state');
    is($service->header($request, 'Gateway-Event'), 'message', 'the event');
    is($service->header($request, 'Content-Type'), 'application/json',
       'the type');

    my $id = $request->{cid};

    like($id, qr/^[0-9a-f]{32}$/, 'the id');

    # What the page shows of errors

    my @errors = $page =~ /^(\{"error":.*\})$/mg;

    $ws->send_text('{"action":"say"}');
    is($ws->read_text(), $errors[1], 'a refusal of the service');

    curls($id);

    is($ws->read_text(), 'hello', 'what was pushed to the connection');
    is($ws->read_text(), '{"news":1}', 'and to its group');

    my $close = $ws->read_close(undef, answer => 1);

    is($close->{code}, 4001, 'the Close of a push');
    is($close->{reason}, 'please sign in again', 'and its reason');
    $ws->disconnect();

    my ($disconnect) = $service->waited('/disconnect', 1);

    is($disconnect->{cid}, $id, 'the end is told');
    is($service->header($disconnect, 'Gateway-Close'),
       '4001 please sign in again', 'and how it came');
    is(push_url("/$id")->{status}, 410, 'it is gone');

    $ws = client('/chat?name=ann');
    $ws->send_text('{"action":"move"}');
    is($ws->read_text(), '{"room":"tea"}', 'a route');
    is(decode_json(push_url('/groups/tea')->{content})->{connections}, 1,
       'another group');
    is(decode_json(push_url('/groups/lobby')->{content})->{connections}, 0,
       'and no longer that');
    $ws->send_text('{"action":"leave"}');
    is($ws->read_text(), 'bye', 'a last message');
    is($ws->read_close(undef, answer => 1)->{code}, 1000, 'and a Close');

    $ws = client('/chat?name=ann');
    $service->stop();
    $ws->send_text('is it there?');
    is($ws->read_text(), $errors[0], 'the service is down');
    $service->start();
    $ws->send_text('now it is');
    is($ws->read_text(), 'now it is', 'and up again');

    is(get(url('/_chat/say'))->{status}, 404, 'clients cannot ask by HTTP');
    is(get(url('/push/groups/lobby'))->{status}, 404, 'nor push');
});

recipe('The least that serves a WebSocket', sub {
    my $ws = client('/live');

    $ws->send_text('a');
    is($ws->read_text(), 'a', 'it does');
    is($service->last('/messages')->{body}, 'a', 'by this URI');
    is(get(url('/live'))->{status}, 426, 'others are told');
});

recipe('Only for those with a token', sub {
    my @origin = (origin => 'https://www.example.com');
    my $token = jwt({ exp => at(2) });

    is(client('/chat', any => 1, @origin)->status(), 401, 'no token');

    my $ws = client('/chat', @origin,
                    headers => [ Cookie => "session=$token" ]);

    $ws->send_text('a');
    $ws->read_text();

    my $request = $service->last('/message');

    is($service->header($request, 'X-User'), 'alice', 'the user');
    is($service->header($request, 'Cookie'), undef, 'and not the cookie');
    is(client('/chat', any => 1, origin => 'https://example.net',
              headers => [ Cookie => "session=$token" ])->status(), 403,
       'another origin');
    is($ws->read_close(undef, answer => 1)->{code}, 1008,
       'the token has expired');
});

recipe('Several messages at once', sub {
    my $ws = client('/rpc');

    $ws->send_text('slow');
    $ws->send_text('fast');
    is($ws->read_text(), 'fast', 'a fast one does not wait');
    is($ws->read_text(), 'slow', 'for a slow one');

    $ws->send_text('fail');
    is($ws->read_close(undef, answer => 1)->{code}, 1011, 'one that fails');
});

recipe('One URL for pages and WebSockets', sub {
    is(get(url('/tickets/7'))->{status}, 200, 'a page');
    is($service->last()->{path}, '/tickets/7', 'of the service');

    my $ws = client('/tickets/7');

    $ws->send_text('a');
    is($ws->read_text(), 'a', 'a WebSocket');
    is($service->last()->{uri}, '/messages?ticket=7', 'of the same service');
});

recipe('Pushes with a token', sub {
    my $ws = client('/chat');
    my $url = url('/push/groups/lobby');

    is(post($url, 'a')->{status}, 401, 'no token');
    is(post($url, 'a', authorization => 'Bearer ' . jwt())->{status}, 403,
       'one without the scope');

    my @token = (authorization => 'Bearer '
                                  . jwt({ scope => 'chat:push' }));

    is(post($url, 'a', @token)->{content}, "{\"reached\":1}\n", 'with it');
    is($ws->read_text(), 'a', 'it comes');
    is(post($url, 'x' x 16385, @token)->{status}, 413, 'too large');
});

recipe('Services made for Pushpin', sub {
    my $ws = client('/chat');
    my $open = $service->last('/websocket/');

    is($open->{body}, "OPEN\r\n", 'the first event');
    is($service->header($open, 'Content-Type'),
       'application/websocket-events', 'its type');
    is($ws->read_text(), 'welcome', 'an event with it');

    $ws->send_text('a');
    is($ws->read_text(), 'you said a', 'an answer');

    my ($command) = $page =~ m{^\$ (curl .*/publish/)$}m;

    is(curl($command), "Published\n", 'as the page shows it');
    is($ws->read_text(), 'tea is ready', 'and it comes');
    $ws->send_close(1000);
    is($ws->read_close()->{code}, 1000, 'a Close');
    ok($service->wait(sub {
           $service->last('/websocket/')->{body} =~ /^CLOSE /
       }), 'is told');
});

recipe('For those who come from Amazon API Gateway', sub {
    my $ws = client('/chat');

    $ws->send_text('a');
    $ws->read_text();

    my $url = "http://127.0.0.1:$push/\@connections/"
              . $service->last('/message')->{cid};

    is(post($url =~ s/@/%40/r, 'hello', 'content-type' =>
            'application/octet-stream')->{status}, 200, 'a push of AWS');
    is($ws->read_message()->{opcode}, 1, 'is a text');
    is(get($url, method => 'DELETE')->{status}, 204, 'and the end');
    is($ws->read_close(undef, answer => 1)->{code}, 1000, 'a Close');
    is(post($url, 'hello')->{status}, 410, 'it is gone');
});

recipe('Ask them all', sub {
    my @clients = map { NgxGatewayWebSocket->open($_, uri => '/ws') }
                  $east, $east, $west;
    my ($answer) = slurp("$ROOT/docs/websocket-scaling.md")
                   =~ /^(\{"east":.*\})$/m;

    $answer =~ s/3/2/;
    is(post("http://127.0.0.1:$push/everywhere/groups/lobby", 'tea is ready')
           ->{content}, $answer, 'a group');
    is($_->read_text(), 'tea is ready', 'a message to it') for @clients;

    $clients[2]->send_text('a');
    $clients[2]->read_text();

    my $id = $service->last()->{cid};

    like(post("http://127.0.0.1:$push/everywhere/$id", 'one')->{content},
         qr/^\{"east":\{.*"status":410.*\},"west":\{"reached":1\}\}$/,
         'a connection');
    is($clients[2]->read_text(), 'one', 'a message to it');
    is(post("http://127.0.0.1:$push/everywhere/groups/lobby", 'a',
            'x-down' => 1)->{content}, '{"east":{"reached":2},"west":null}',
       'one that is down');
}, port => $push, http => sub {
    return gateway('east', $east) . gateway('west', $west);
});

recipe('Know where it is', sub {
    my $ws = client('/chat');
    my $host = `hostname`;

    chomp $host;
    $ws->send_text('a');
    $ws->read_text();
    $ws->send_close(1000);
    $ws->read_close();
    $service->waited('/', 3);
    is(join(' ', map { "$_->{event}:" . ($service->header($_, 'X-Gateway')
                                         // '') } $service->requests('/')),
       "connect:$host message:$host disconnect:$host", 'each says so');
});

recipe('Connections and files', sub {
    my $ws = client('/chat');

    $ws->send_text('a');
    is($ws->read_text(), 'a', 'it answers');

    my %old = map { $_ => 1 } workers();

    kill 'HUP', $nginx;

    my $close = $ws->read_close(35, answer => 1);

    is($close->{code}, 1001, 'a reload');
    is($close->{reason}, 'server shutdown', 'and why');
    $ws->disconnect();

    my $disconnect = ($service->waited('/chat', 2))[-1];

    is($service->header($disconnect, 'Gateway-Close'), '1001 server shutdown',
       'which the service is told, too');
    ok($service->wait(sub { !grep { $old{$_} } workers() }),
       'the old workers end');
}, drain => '200ms');

is_deeply([ sort keys %examples ], [], 'all examples were tried');

# The service that is shown is the one that is tried by another test.

for my $code ($page =~ /^```python\n(.*?)^```$/msg) {
    ok(index(slurp("$ROOT/docs/examples/websocket_backend.py"), $code) >= 0,
       'the Python that is shown');
}

$service->stop();

done_testing();


sub recipe {
    my ($heading, $test, %o) = @_;

    my $example = delete $examples{$heading};

    subtest $heading => sub {
        ok($example, 'it is there') or return;

        unlink "$dir/error.log";

        my $text = $example->{text}
                   =~ s/\blisten\s+127\.0\.0\.1:\d+/listen 127.0.0.1:$push/r;

        $text = complete($example->{context}, $text, $port,
                         $service->port());
        $text =~ s{(proxy_pass\s+http://127\.0\.0\.1:)\d+}
                  {$1 . $service->port()}ge;
        $text =~ s/10\.0\.0\.1:8091/127.0.0.1:$east/;
        $text =~ s/10\.0\.0\.2:8091/127.0.0.1:$west/;
        $text =~ s/(_drain\s+)1m/$1$o{drain}/ if $o{drain};

        # not every system allows so many files

        $text =~ s/\b(worker_(?:rlimit_nofile|connections))\s+\d+/$1 512/g;

        spew("$dir/recipe.conf",
             startable($text, $o{http} ? $o{http}->() : ''));

        $nginx = nginx_start($dir, "$dir/recipe.conf", $o{port} // $port);

        ok($nginx, 'it starts') or return;
        $test->();
        nginx_stop($nginx);

        unlike(-e "$dir/error.log" ? slurp("$dir/error.log") : '',
               qr/\[(?:alert|crit|emerg)\]/, 'nothing is alarming');
    };
}


# What the service for Pushpin does of each event.

sub events {
    my ($body) = @_;

    my @events;

    if ($body eq "OPEN\r\n") {
        @events = ("OPEN\r\n",
                   text('c:{"type":"subscribe","channel":"lobby"}'),
                   text('m:welcome'));

    } elsif ($body =~ /^TEXT [0-9a-f]+\r\n(.*)\r\n\z/s) {
        @events = (text("m:you said $1"));
    }

    return 'type=application/websocket-events'
           . '&header=Sec-WebSocket-Extensions: grip'
           . '&body=' . join('', @events) =~ s/([%&])/sprintf '%%%02x', ord $1
                                              /gre;
}


sub text {
    return sprintf "TEXT %x\r\n%s\r\n", length $_[0], $_[0];
}


# Another gateway: nginx has it in the same process, with a zone of its own.

sub gateway {
    my ($name, $its_port) = @_;

    my $service_port = $service->port();

    return <<"_EOC_";
    gateway_websocket_zone  $name:100k;

    server {
        listen  127.0.0.1:$its_port;

        location = /ws {
            gateway_websocket_serve    /_ws zone=$name;
            gateway_websocket_connect  /_ws;
        }

        location = /_ws {
            internal;
            proxy_pass  http://127.0.0.1:$service_port;
        }

        location /push/ {
            set  \$down  \$http_x_down\$server_port;

            if (\$down = 1$west) {
                return  500;
            }

            gateway_websocket_push  zone=$name;
        }
    }
_EOC_
}


# The lines with curl of the page's section on pushes, and what they answer

sub curls {
    my ($id) = @_;

    my ($section) = $page =~ /^## Pushes\n(.*?)^## /ms;
    my @lines = $section =~ /^\$ (curl .*)\n(.*)$/mg;
    my ($example) = $section =~ m{/push/(\w{32})$}m;

    cmp_ok(scalar @lines, '>', 8, 'there are lines with curl');

    while (my ($command, $answer) = splice @lines, 0, 2) {
        my $got = curl($command =~ s/$example/$id/r) =~ s/$id/$example/r;
        my ($first) = split /\r?\n/, $got;

        # It is another time, and there is one client only.

        for ($first, $answer) {
            s/"reached":3/"reached":1/;
            s/"connections":3/"connections":1/;
            s/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/"TIME"/g;
            s/"sourceIp":"[^"]*"/"sourceIp":"ADDRESS"/;
            s/,"userAgent":"[^"]*"//;
        }

        is($first, $answer, $command);
    }
}


# The processes of nginx but the master

sub workers {
    return map { /\d+/g } `pgrep -P $nginx`;
}


sub curl {
    my ($command) = @_;

    $command =~ s/^curl /curl -s /;
    $command =~ s/127\.0\.0\.1:\d+/127.0.0.1:$push/;

    return scalar `$command`;
}


sub client {
    my ($path, %o) = @_;

    my $new = delete $o{any} ? 'new' : 'open';

    return NgxGatewayWebSocket->$new($port, uri => $path, %o);
}


sub post {
    my ($to, $body, %headers) = @_;

    return HTTP::Tiny->new(proxy => undef, http_proxy => undef)
        ->post($to, { content => $body,
                      headers => { 'content-type' => 'text/plain',
                                   %headers } });
}


sub push_url {
    return get("http://127.0.0.1:$push/push$_[0]");
}


sub url {
    return "http://127.0.0.1:$port$_[0]";
}
