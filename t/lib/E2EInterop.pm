package E2EInterop;

# Tests of keys and tokens that another implementation makes.
#
# That one, the peer, is a program which gets a folder, puts its public keys
# there, and prints JSON:
#
#     issuers  { ISSUER => [ FILE, ... ], ... }: the key files of each issuer
#              that configuration() knows
#     claims   { NAME => POINTER, ... } of the claims that tokens have
#     cases    [ { name, token, claims, raw, accepted, differs, answers } ]:
#
#         answers   { ISSUER => STATUS, ... }: what $gateway_jwt_status has to
#                   be where that issuer's keys are used
#         raw       the token's payload as the peer wrote it
#         claims    { NAME => TEXT, ... }: what the backend has to be told
#         accepted  whether the peer itself accepts the token, with the keys
#                   and rules of the first issuer
#         differs   the reason, where it is right that the gateway does not
#                   agree with that

use strict;
use warnings;

use Encode qw( encode );
use JSON::PP ();
use Test::More;

use E2E ();
use E2EClient ();
use NgxGatewayTest ();

my $SIGNATURES = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512'
                 . ' ES256K EdDSA';

my %LINES = (
    jwks     => "algorithms $SIGNATURES HS256 HS384 HS512;",
    nokid    => "algorithms $SIGNATURES HS256 HS384 HS512;",
    private  => "algorithms $SIGNATURES HS256 HS384 HS512;",
    pem      => "algorithms $SIGNATURES;",
    x509     => "algorithms $SIGNATURES;",
    usual    => '',
    typed    => 'type at+jwt;',
    lenient  => 'leeway 1m; audience any; require_exp off;',
    short    => 'max_lifetime 10m;',
);


sub run {
    my (@command) = @_;

    my $keys = E2E::dir() . '/keys';
    my $peer = _peer($keys, @command);
    my $port = E2E::free_port();

    my $nginx = E2E->start(port => $port,
                           http => configuration($peer, $keys, $port));

    my $client;
    my @cases = @{ $peer->{cases} };

    ok(@cases > 50, 'there are tokens');

    for my $case (@cases) {
        my $name = encode('UTF-8', $case->{name});

        _agreement($case, $name);

        for my $issuer (sort keys %{ $case->{answers} }) {
            my $answer;

            # nginx closes a connection after keepalive_requests

            for (1 .. 2) {
                $client //= E2EClient->new($port);
                $answer = $client->ask('GET', "/$issuer", Authorization =>
                                       "Bearer $case->{token}");
                last if $answer;
                undef $client;
            }

            is(_seen($answer), _wanted($case, $issuer, $peer->{claims}),
               "$name: $issuer");
        }
    }

    $nginx->stop;
    $nginx->clean_log('the log has no errors and no tokens');
}


sub _peer {
    my ($keys, @command) = @_;

    mkdir $keys;

    open(my $pipe, '-|', @command, $keys) or die "$command[0]: $!\n";

    my $output = do { local $/; <$pipe> };

    close $pipe or die "@command: failed\n";

    return JSON::PP->new->utf8->decode($output);
}


sub configuration {
    my ($peer, $keys, $port) = @_;

    my $backend = E2E::dir() . '/backend.sock';
    my %claims = %{ $peer->{claims} };
    my @names = sort keys %claims;

    my $http = "large_client_header_buffers 4 64k;\n"
               . join '', map { "gateway_jwt_claim_set \$set_$_ "
                                . "\"$claims{$_}\";\n" } @names;
    my $locations = '';

    my $told = join '', map { "proxy_set_header X-Set-$_ \$set_$_;\n" } @names;

    $told .= "proxy_set_header X-Name-$_ \$gateway_jwt_claim_$_;\n"
        for grep { $claims{$_} eq $_ } @names;

    for my $issuer (sort keys %{ $peer->{issuers} }) {
        my $lines = "    issuer https://id.example.com;\n"
                    . "    $LINES{$issuer}\n";

        $lines .= "    audience api;\n" if $lines !~ /audience/;
        $lines .= "    key_file $keys/$_;\n"
            for @{ $peer->{issuers}{$issuer} };

        $http .= "gateway_jwt_issuer $issuer {\n$lines}\n";

        $locations .= <<"_EOC_";
    location = /$issuer {
        gateway_jwt "$issuer" issuer=$issuer;
        add_header X-Status \$gateway_jwt_status always;
        proxy_pass http://unix:$backend;
        proxy_set_header X-Claims \$gateway_jwt_claims;
        proxy_set_header X-Kid \$gateway_jwt_header_kid;
        $told
    }
_EOC_
    }

    my $body = 'claims=$http_x_claims\nkid=$http_x_kid\n'
               . join '', map { "$_=\$http_x_set_$_\\n" } @names;

    # what the two kinds of variables say of a claim must be the same

    my $same = join '', map { "$_=\$http_x_name_$_\\n" }
                        grep { $claims{$_} eq $_ } @names;

    return encode('UTF-8', <<"_EOC_");
$http
server {
    listen 127.0.0.1:$port;
    keepalive_requests 100000;

$locations
}

server {
    listen unix:$backend;

    location / {
        return 200 "$body\\n$same";
    }
}
_EOC_
}


sub _agreement {
    my ($case, $name) = @_;

    my $ok = $case->{answers}{jwks} eq 'ok';

    if ($case->{differs}) {
        isnt(!!$case->{accepted}, $ok,
             encode('UTF-8', "$case->{name}: the peer differs, as "
                             . $case->{differs}));
        return;
    }

    is(!!$case->{accepted}, $ok,
       "$name: the peer " . ($ok ? 'accepts' : 'refuses') . ' it, too');
}


# As text, so that a difference is shown whole.

sub _seen {
    my ($answer) = @_;

    return 'the connection was closed' if !$answer;

    my $status = $answer->{headers}{'x-status'} // '';
    my $text = "$answer->{status} $status\n";

    return $text . $answer->{body} if $answer->{status} == 200;

    return $text . ($answer->{headers}{'www-authenticate'} // '') . "\n"
           . ($answer->{headers}{'content-type'} // '') . "\n";
}


sub _wanted {
    my ($case, $issuer, $names) = @_;

    my $status = $case->{answers}{$issuer};

    if ($status ne 'ok') {
        my %details = %NgxGatewayTest::DETAILS;

        return "401 $status\nBearer realm=\"$issuer\","
               . " error=\"invalid_token\","
               . " error_description=\"$details{$status}\"\n"
               . "application/problem+json\n";
    }

    my %claims = (map({ $_ => '' } keys %$names),
                  map { $_ => encode('UTF-8', $case->{claims}{$_}) }
                  keys %{ $case->{claims} });

    my $text = "200 ok\nclaims=" . encode('UTF-8', $case->{raw}) . "\n"
               . 'kid=' . encode('UTF-8', $case->{kid} // '') . "\n";

    $text .= "$_=$claims{$_}\n" for sort keys %claims;
    $text .= "\n";
    $text .= "$_=$claims{$_}\n" for grep { $names->{$_} eq $_ }
                                    sort keys %claims;

    return $text;
}


1;
