# ngx_http_gateway_aggregate_module: three parts made one answer, beside lua
# and njs doing the same.

package Bench::Aggregate;

use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP ();

use Bench::Gateway;
use Bench::Measure;
use Bench::Process qw(write_file);

use constant {
    MODULE => 'ngx_http_gateway_aggregate_module',
    NAMES  => [qw(user orders ads)],
    LARGE  => 25_700,
};

my $bench;
my %right;      # answers already found to be right
my %texts;      # size => the three texts


# Sixty bytes each.

my $small = sub {
    return map {
        sprintf '{"id":%d,"name":"Ada Lovelace","mail":"ada@example.com"}  ',
            $_ + 4710
    } 1 .. 3;
};


# What an API answers: objects with strings, numbers, true, false, null and
# some nesting.

my $large = sub {
    return map { large_text($_) } 1 .. 3;
};


sub large_text {
    my ($number) = @_;
    my @words = qw(amber birch cedar drift ember fjord grove heath);
    my (@orders, $id);
    my $length = 0;

    for ($id = 100_000 * $number; $length < LARGE - 240; $id++) {
        my $word = $words[$id % @words];

        push @orders, sprintf '{"id":%d,"customer":{"name":"%s %s",'
            . '"mail":"%s.%d@example.com","vip":%s},"created":'
            . '"2024-0%d-1%dT08:%02d:00Z","total":%d.%02d,"currency":"EUR",'
            . '"note":%s,"tags":["%s","%s \u00e9t\u00e9"]}',
            $id, ucfirst $word, ucfirst $words[($id + 3) % @words], $word,
            $id, $id % 3 ? 'false' : 'true', 1 + $id % 9, $id % 10, $id % 60,
            $id * 7 % 900, 11 + $id % 80,
            $id % 2 ? 'null' : qq("left at the $word door, \\"as agreed\\""),
            $words[$id * 5 % @words], $word;
        $length += 1 + length $orders[-1];
    }

    my $text = sprintf '{"page":%d,"next":"https://api.example.com/orders'
        . '?page=%d","orders":[%s],"count":%d}', $number, $number + 1,
        join(',', @orders), scalar @orders;

    die "bench: a large part has " . length($text) . " bytes\n"
        if abs(LARGE - length $text) > 200;

    return $text;
}


# nginx beside wrk, answering the parts; started when first asked for.

my $port = sub {
    return $bench->{parts}{port} if $bench->{parts};

    my $files = "$bench->{work}/parts.files";
    my @small = $small->();
    my @large = $large->();
    my $locations = '';

    %texts = (small => \@small, large => \@large);
    mkdir $files or die "bench: mkdir($files): $!\n";

    for my $i (1 .. 3) {
        mkdir "$files/large";
        write_file("$files/large/$i", $large[$i - 1]);
        $locations .= "        location = /small/$i {\n"
            . "            return 200 '$small[$i - 1]';\n        }\n";
    }

    $bench->{parts} = Bench::Gateway->run($bench, 'parts',
        $bench->{load_cpu}, '', <<"END", prefix => $bench->{awake});
    keepalive_timeout 600s;
    open_file_cache max=10;
    sendfile on;

    server {
        listen 127.0.0.1:%PORT%;
        default_type application/json;
        root $files;

$locations
    }
END
    return $bench->{parts}{port};
};


# A side: the same upstream and internal locations for all of them.

my $side = sub {
    my ($size, %more) = @_;

    return {
        modules => $more{modules},
        http    => sub {
            my $port = $port->();
            return <<"END" . ($more{http} // '');
    upstream parts {
        server 127.0.0.1:$port;
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }

    proxy_http_version 1.1;
    proxy_set_header Connection "";
END
        },
        server  => "location /$size/ {\n"
                   . "            internal;\n"
                   . "            proxy_pass http://parts;\n"
                   . '            ' . ($more{part} // '') . "\n"
                   . "        }\n",
        location => $more{location},
        content => $more{content},
        check   => sub { check($size, $more{copied}, @_) },
    };
};


# An answer has to be the three texts: the very bytes where they are copied,
# the same values where they were decoded.

sub check {
    my ($size, $copied, $gateway) = @_;
    my $name = "$gateway->{name}, $size parts";
    my $answer = HTTP::Tiny->new->get("http://127.0.0.1:$gateway->{port}/");
    my $body = $answer->{content};

    die "bench: $name: answered $answer->{status}, as "
        . ($answer->{headers}{'content-type'} // 'nothing') . "\n"
        if $answer->{status} != 200
           || $answer->{headers}{'content-type'} !~ m{^application/json};

    return if $right{"$size $body"};

    my @texts = @{ $texts{$size} };
    my $json = JSON::PP->new->utf8->canonical;
    my $whole = '{' . join(',', map {
        my $text = $texts[$_];
        $text =~ s/\s+$//;
        '"' . NAMES->[$_] . "\":$text"
    } 0 .. 2) . '}';
    my $same = $copied && $body eq $whole
        || $json->encode($json->decode($body))
           eq $json->encode($json->decode($whole));

    die "bench: $name: the answer is not the three parts:\n"
        . substr($body, 0, 500) . "\n"
        if !$same || $copied && $copied eq 'exactly' && $body ne $whole;

    $right{"$size $body"} = 1;
    return;
}


my $own = sub {
    my ($size) = @_;

    return $side->($size, modules => [MODULE], copied => 'exactly',
        content => <<"END");
gateway_aggregate {
                part user   /$size/1;
                part orders /$size/2;
                part ads    /$size/3;
            }
END
};


my @lua = ('ndk_http_module', 'ngx_http_lua_module');

my $lua = sub {
    my ($size, $http, $merge) = @_;

    return $side->($size, modules => \@lua, http => $http, content => <<"END");
content_by_lua_block {
                local user, orders, ads = ngx.location.capture_multi({
                    { "/$size/1" }, { "/$size/2" }, { "/$size/3" } })

                if user.status ~= 200 or orders.status ~= 200
                   or ads.status ~= 200
                then
                    return ngx.exit(502)
                end

                $merge
                ngx.header["Content-Type"] = "application/json"
                ngx.header["Content-Length"] = #answer
                ngx.print(answer)
            }
END
};


my $concatenation = sub {
    my ($size) = @_;

    return $lua->($size, '', <<'END');
local answer = '{"user":' .. user.body .. ',"orders":' .. orders.body
                               .. ',"ads":' .. ads.body .. '}'
END
};


my $cjson = sub {
    my ($size) = @_;

    return $lua->($size, <<'HTTP', <<'END');
    init_by_lua_block { cjson = require "cjson" }
HTTP
local answer = cjson.encode({ user = cjson.decode(user.body),
                                              orders = cjson.decode(orders.body),
                                              ads = cjson.decode(ads.body) })
END
};


my @njs = ('ngx_http_js_module');

my $njs = sub {
    my ($size) = @_;

    return $side->($size, modules => \@njs,
        http => "    js_import bench from $bench->{here}/aggregate.js;\n",
        part => 'subrequest_output_buffer_size 32k;',
        content => "js_content bench.$size;");
};


sub cjson_needs {
    return (grep { -e } glob('/usr/{lib,lib/*,local/lib}/lua/5.1/cjson.so'))
        ? @lua : (@lua, 'lua-cjson');
}


# "raw" is lua or njs here

sub beside {
    my ($size, $name, $title, $raw, $needs, $target, $rounds) = @_;

    return {
        name => $name,
        request => { path => '/' },
        raw => $raw->($size),
        rounds => $rounds,
        cases => [
            { name => $name, title => $title,
              side => $own->($size),
              needs => [MODULE, @$needs],
              optional => 1,
              $target ? (target => { ratio => $target }) : () },
        ],
    };
}


sub {
    ($bench) = @_;

    return (
        beside('small', 'small',
            '3 parts of 60 bytes, beside lua concatenation', $concatenation,
            \@lua, 0.8, 0.6),
        beside('small', 'small_cjson', 'likewise, beside lua with cjson',
            $cjson, [cjson_needs()], undef, 0.4),
        beside('small', 'small_njs', 'likewise, beside njs', $njs, \@njs,
            undef, 0.4),

        beside('large', 'large',
            '3 parts of 25.7 KB, beside lua concatenation', $concatenation,
            \@lua, 1.4, 0.6),
        beside('large', 'large_cjson', 'likewise, beside lua with cjson',
            $cjson, [cjson_needs()], 0.1, 0.4),
        beside('large', 'large_njs', 'likewise, beside njs', $njs, \@njs,
            0.1, 0.4),
    );
};
