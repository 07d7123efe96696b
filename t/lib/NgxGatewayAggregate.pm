package NgxGatewayAggregate;

# What the suites of t/aggregate have in common, on top of NgxGatewayBlocks.
# To be used before Test::Nginx::Socket, and that with "no_plan".
#
# Sections of a block beside those of Test::Nginx and NgxGatewayBlocks:
#
#   --- parts      lines of the block gateway_aggregate in the location /t
#   --- lines      more lines of the location /t
#   --- locations eval
#                  a list of NAME => PARTS, or NAME => [ PARTS, LINES ]: more
#                  locations like /t, called /NAME
#   --- server     lines of the server block
#   --- answers eval
#                  a list of NAME => TEXT: what /f/NAME answers, byte for byte
#   --- requests eval
#                  a list of [ "what is tried", BODY, %more ], each a request
#                  and all that its answer must be.  BODY is a text, a pattern,
#                  or a sub that is given the body and says whether it is
#                  right.  More: at (NAME of the location), args, request,
#                  send (headers), code, aggregate (the field
#                  Gateway-Aggregate, "complete" when not given, undef for
#                  none), response (headers: a text, or undef for none)
#
# An answer with code 200 must have the Content-Length of its BODY.
#
# Behind /up/ and the upstream "backend" is NgxGatewayAggregateBackend.

use strict;
use warnings;

use NgxGatewayAggregateBackend ();
use NgxGatewayBlocks qw( section set preset );

use base 'NgxGatewayBlocks';

our @EXPORT = qw( run_blocks );

my $backend;


sub run_blocks {
    $backend = NgxGatewayAggregateBackend->new();
    $ENV{TEST_NGINX_BACKEND_PORT} = $backend->port();

    return __PACKAGE__->run();
}


sub lists {
    return qw( locations answers );
}


sub complete {
    my ($class, $block) = @_;

    set($block, http_config => (section($block, 'http_config') // '')
                . "\nupstream backend {"
                . " server 127.0.0.1:\$TEST_NGINX_BACKEND_PORT; }\n");

    preset($block, config => _config($block));

    if (section($block, 'answers')) {
        my @answers = @{ section($block, 'answers') };
        my @files;

        while (@answers) {
            push @files, [ splice @answers, 0, 2 ];
        }

        set($block, user_files => \@files);
    }

    return;
}


sub _config {
    my ($block) = @_;

    my $config = (section($block, 'server') // '') . "\n";
    my @locations = @{ section($block, 'locations') // [] };

    if (defined section($block, 'parts')) {
        unshift @locations, t => [ section($block, 'parts'),
                                   section($block, 'lines') // '' ];
    }

    while (@locations) {
        my ($name, $text) = splice @locations, 0, 2;
        my ($parts, $lines) = ref $text ? @$text : ($text, '');

        $config .= <<"_EOC_";
        location = /$name {
            gateway_aggregate {
                $parts
            }
            $lines
        }

_EOC_
    }

    return $config . <<'_EOC_';
        location /f/ {
            alias html/;
        }

        location /up/ {
            proxy_pass http://backend;
        }
_EOC_
}


sub check {
    my ($class, $block, $row) = @_;

    my ($name, $body, %o) = @$row;

    my $code = $o{code} // 200;
    my $request = $o{request} // 'GET /' . ($o{at} // 't') . ($o{args} // '');
    my $aggregate = exists $o{aggregate} ? $o{aggregate}
                    : $code == 200 ? 'complete' : undef;

    my %fields = ('Gateway-Aggregate' => $aggregate,
                  %{ $o{response} // {} });

    if ($code == 200 && defined $aggregate) {
        $fields{'Content-Type'} //= 'application/json';

        if (!ref $body && !exists $fields{'Content-Length'}) {
            $fields{'Content-Length'} = length $body;
        }
    }

    return {
        request => $request, send => $o{send} // '', code => $code,
        fields => \%fields, name => $name,
        body => $request =~ /^HEAD/ ? '' : $body,
    };
}


1;
