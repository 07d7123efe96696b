package Bench::Tokens;

# Tokens made by tokens.c, and the JWKS beside them, kept in build/bench/jwt.

use strict;
use warnings;

use Exporter 'import';
use File::Path qw(make_path);

use Bench::Process qw(capture read_file);

use constant {
    TOKENS   => 20_000,
    LIFETIME => 30 * 86_400,
    # tokens made earlier than this are made again
    STALE    => 7 * 86_400,
};

our @EXPORT_OK = qw(TOKENS tokens token_request issuer);


# Tokens of one algorithm: a file of them and one of keys, made when first
# asked for.

sub tokens {
    my ($bench, $algorithm) = @_;
    my $dir = "$bench->{build}/jwt";
    my ($file, $jwks) = ("$dir/$algorithm.txt", "$dir/$algorithm.jwks");
    my $maker = $bench->compiled('tokens', '-lcrypto');

    return ($file, $jwks)
        if -s $jwks && -s $file && time - (stat $file)[9] < STALE
           && (stat $file)[9] >= (stat $maker)[9];

    make_path($dir);
    $bench->progress("making tokens, $algorithm");

    my ($status, $text) = capture(undef, $maker, $algorithm, TOKENS, LIFETIME,
        "$file.new", "$jwks.new");

    die "bench: no tokens:\n$text" if $status != 0;

    rename "$jwks.new", $jwks and rename "$file.new", $file
        or die "bench: rename(): $!\n";

    return ($file, $jwks);
}


# What wrk and the checks send: one token, or with $all every one in turn.

sub token_request {
    my ($bench, $algorithm, $all, $path) = @_;
    my ($file) = tokens($bench, $algorithm);
    my ($token) = read_file($file) =~ /^(\S+)$/m;

    # another first octet of the signature
    (my $bad = $token) =~ s/(\.)([^.])([^.]*)$/
        $1 . ($2 eq 'A' ? 'B' : 'A') . $3/e;

    return { path => $path || '/', token => $token, bad_token => $bad,
             $all ? (tokens => $file) : () };
}


# The issuer that has signed them, for the http block.

sub issuer {
    my ($bench, $algorithm, $cache) = @_;
    my (undef, $jwks) = tokens($bench, $algorithm);

    return <<"END";
    gateway_jwt_cache $cache;
    gateway_jwt_issuer bench {
        issuer     https://id.example.com;
        audience   api;
        algorithms $algorithm;
        key_file   $jwks;
    }
END
}

1;
