package NgxGatewayJWT;

# Makes JSON Web Tokens, well formed or broken on purpose, and the key files
# that belong to them.  Knows nothing of nginx.
#
# Private keys are never part of the source tree: a key is made when it is
# first asked for and kept under build/t-keys (or NGX_GATEWAY_TEST_KEYS), so
# that suites which run side by side share it.

use strict;
use warnings;

use Cwd ();
use Digest::SHA ();
use Fcntl qw( :flock );
use File::Basename ();
use File::Path ();
use MIME::Base64 ();

use Crypt::Misc ();
use Crypt::PK::ECC ();
use Crypt::PK::Ed25519 ();
use Crypt::PK::RSA ();

use NgxGatewaySystem qw( spew );

use base 'Exporter';

our @EXPORT_OK = our @EXPORT = qw(
    at jwt jwk jwk_private jwks pem pem_private certificate secret
    json b64u unb64u loosen stretch
);

our $ISSUER = 'https://id.example.com';
our $AUDIENCE = 'api';

# the name of a key says its kind; what follows "_" tells keys of a kind apart

our %KINDS = (
    rsa      => { alg => 'RS256', make => sub { _rsa(256) } },
    rsa3072  => { alg => 'RS256', make => sub { _rsa(384) } },
    rsa1024  => { alg => 'RS256', make => sub { _rsa(128) } },
    p256     => { alg => 'ES256', make => sub { _ec('secp256r1') } },
    p384     => { alg => 'ES384', make => sub { _ec('secp384r1') } },
    p521     => { alg => 'ES512', make => sub { _ec('secp521r1') } },
    k256     => { alg => 'ES256K', make => sub { _ec('secp256k1') } },
    ed25519  => { alg => 'EdDSA', make => sub { _ed() } },
    ed448    => { alg => 'EdDSA',
                  make => sub { NgxGatewayJWT::Ed448->generate() } },
    oct      => { alg => 'HS256' },
);

my %keys;


# Text.  In what json() writes, a reference to a scalar is JSON text as it is:
# \"1e400", \"true".

sub json {
    my ($v) = @_;

    return 'null' if !defined $v;
    return $$v if ref $v eq 'SCALAR';
    return '[' . join(',', map { json($_) } @$v) . ']' if ref $v eq 'ARRAY';

    if (ref $v eq 'HASH') {
        return '{' . join(',', map { _string($_) . ':' . json($v->{$_}) }
                               sort keys %$v) . '}';
    }

    return _string($v);
}


sub _string {
    my ($s) = @_;

    $s =~ s/(["\\])/\\$1/g;
    $s =~ s/([\x00-\x1f])/sprintf "\\u%04x", ord $1/ge;

    return "\"$s\"";
}


# NumericDate, seconds from now

sub at {
    my ($seconds) = @_;

    my $date = time() + $seconds;

    return \$date;
}


sub b64u {
    return MIME::Base64::encode_base64url($_[0]);
}


sub unb64u {
    return MIME::Base64::decode_base64url($_[0]);
}


# The same bytes for a careless decoder, with a bit set that canonical
# base64url leaves zero.

sub loosen {
    my ($text) = @_;

    my $alphabet = join '', 'A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_';

    die "no spare bits in \"$text\"" if length($text) % 4 < 2;

    my $last = index $alphabet, substr $text, -1;

    return substr($text, 0, -1) . substr $alphabet, $last + 1, 1;
}


# Tokens.
#
# jwt(\%claims, %options): claims are added to iss, aud, sub, iat and exp of
# an ordinary token; an undef takes one away.  A string instead of the hash is
# the payload as it is.  Options:
#
#   key      name of the key that signs; "rsa" if not given
#   alg      "alg" and the signature's algorithm; the key's usual if not given
#   kid      the key's name if not given, undef for none
#   header   members for the header, as claims are; or its text as it is
#   sign_as  the signature's algorithm, where "alg" of the header lies
#   secret   bytes that an HMAC is keyed with instead of the key
#   signature            changes the signature: sub { new bytes }
#   header_b64, claims_b64, signature_b64
#                        change a part's text: sub { new text }; what is
#                        signed is the changed text

sub jwt {
    my ($claims, %o) = @_;

    my $name = $o{key} // 'rsa';
    my $alg = $o{alg} // $KINDS{ _kind($name) }{alg};

    my $header = $o{header} // {};

    if (ref $header) {
        $header = _merge({ alg => $alg, typ => 'JWT',
                           kid => exists $o{kid} ? $o{kid} : $name },
                         $header);
    }

    if (!defined $claims || ref $claims) {
        $claims = _merge({ iss => $ISSUER, aud => $AUDIENCE, sub => 'alice',
                           iat => at(0), exp => at(3600) },
                         $claims // {});
    }

    my $h = b64u($header);
    my $c = b64u($claims);

    $h = $o{header_b64}->($h) if $o{header_b64};
    $c = $o{claims_b64}->($c) if $o{claims_b64};

    my $sig = _sign($o{sign_as} // $alg, $name, $o{secret}, "$h.$c");

    $sig = $o{signature}->($sig) if $o{signature};

    my $s = b64u($sig);
    $s = $o{signature_b64}->($s) if $o{signature_b64};

    return "$h.$c.$s";
}


# An ordinary token, padded by a claim to exactly this length.

sub stretch {
    my ($length, %o) = @_;

    # a part's length is never 1 modulo 4, so one of these "kid" fits

    for my $kid ('', 'x', 'xx') {
        my %opt = (%o, header => { x => $kid });
        my $pad = int(($length - length jwt({ pad => '' }, %opt)) * 3 / 4) - 4;

        $pad = 0 if $pad < 0;

        for my $n ($pad .. $pad + 8) {
            my $token = jwt({ pad => 'p' x $n }, %opt);
            return $token if length $token == $length;
        }
    }

    die "no token of $length bytes";
}


sub _merge {
    my ($usual, $more) = @_;

    my %all = (%$usual, %$more);

    for my $name (keys %all) {
        delete $all{$name} if !defined $all{$name};
    }

    return json(\%all);
}


sub _sign {
    my ($alg, $name, $secret, $input) = @_;

    my ($kind, $bits) = $alg =~ /^(RS|PS|ES|HS)(256|384|512)K?$/;

    if (!defined $kind) {
        return '' if $alg ne 'EdDSA';
        return _key($name)->sign_message($input);
    }

    my $hash = "SHA$bits";

    if ($kind eq 'HS') {
        my $hmac = Digest::SHA->can("hmac_sha$bits");
        return $hmac->($input, $secret // secret($name));
    }

    my $key = _key($name);

    return $key->sign_message($input, $hash, 'v1.5') if $kind eq 'RS';
    return $key->sign_message($input, $hash, 'pss', $bits / 8)
        if $kind eq 'PS';

    return $key->sign_message_rfc7518($input, $hash);
}


# Key files.

# A public key's JWK, "kid" being its name; %members are added, an undef takes
# one away.

sub jwk {
    my ($name, %members) = @_;

    return _jwk($name, 'public', %members);
}


sub jwk_private {
    my ($name, %members) = @_;

    return _jwk($name, 'private', %members);
}


sub _jwk {
    my ($name, $part, %members) = @_;

    my $jwk;

    if (_kind($name) eq 'oct') {
        $jwk = { kty => 'oct', k => b64u(secret($name)) };

    } else {
        $jwk = _key($name)->export_key_jwk($part, 1);

        # the library has a name of its own for this curve

        if (_kind($name) eq 'k256') {
            $jwk->{crv} = 'secp256k1';
        }
    }

    return \_merge({ %$jwk, kid => $name }, \%members);
}


# The JWKS of these keys, each a name or what jwk() made, as text.

sub jwks {
    return json({ keys => [ map { ref $_ ? $_ : jwk($_) } @_ ] });
}


sub pem {
    my ($name) = @_;

    return _key($name)->export_key_pem(
               _kind($name) =~ /^rsa/ ? 'public_x509'
               : _kind($name) =~ /^[pk]/ ? 'public_short' : 'public');
}


sub pem_private {
    my ($name) = @_;

    return _pem_private(_key($name));
}


sub _pem_private {
    my ($key) = @_;

    return $key->export_key_pem('private')
        if ref $key eq 'Crypt::PK::RSA' || ref $key eq 'NgxGatewayJWT::Ed448';
    return $key->export_key_pem('private_short')
        if ref $key eq 'Crypt::PK::ECC';

    # the library's own form of this is not RFC 8410's, which starts so

    return Crypt::Misc::der_to_pem(
               pack('H*', '302e020100300506032b657004220420')
               . $key->export_key_raw('private'), 'PRIVATE KEY');
}


# A self-signed certificate of the key.

sub certificate {
    my ($name) = @_;

    _key($name);

    my $file = _file($name, 'crt', sub {
        my ($path) = @_;

        my @command = ('openssl', 'req', '-x509', '-new', '-days', 3650,
                       '-key', _dir() . "/$name.pem", '-subj', "/CN=$name",
                       '-out', $path);

        system(@command) == 0 or die "@command: failed\n";
    });

    return _read($file);
}


# The bytes of an "oct" key.

sub secret {
    my ($name) = @_;

    return $keys{$name} //= _read(_file($name, 'bin', sub {
        my ($path) = @_;

        spew($path, _read('/dev/urandom', 64));
    }));
}


sub _key {
    my ($name) = @_;

    return $keys{$name} if $keys{$name};

    my $kind = $KINDS{ _kind($name) };

    die "a key of kind \"$name\" does not sign so\n" if !$kind->{make};

    my $pem = _read(_file($name, 'pem', sub {
        my ($path) = @_;

        my $key = $kind->{make}->();

        spew($path, _pem_private($key));
    }));

    my $class = _kind($name) =~ /^rsa/ ? 'Crypt::PK::RSA'
                : _kind($name) =~ /^[pk]/ ? 'Crypt::PK::ECC'
                : _kind($name) eq 'ed448' ? 'NgxGatewayJWT::Ed448'
                                          : 'Crypt::PK::Ed25519';

    return $keys{$name} = $class->new(\$pem);
}


sub _kind {
    my ($name) = @_;

    my ($kind) = $name =~ /^([a-z0-9]+)/;

    die "no such kind of key: \"$name\"\n" if !$kind || !$KINDS{$kind};

    return $kind;
}


sub _rsa {
    my ($bytes) = @_;

    my $key = Crypt::PK::RSA->new();
    $key->generate_key($bytes, 65537);

    return $key;
}


sub _ec {
    my ($curve) = @_;

    my $key = Crypt::PK::ECC->new();
    $key->generate_key($curve);

    return $key;
}


sub _ed {
    my $key = Crypt::PK::Ed25519->new();
    $key->generate_key();

    return $key;
}


sub _dir {
    return $ENV{NGX_GATEWAY_TEST_KEYS}
           // File::Basename::dirname(Cwd::abs_path(__FILE__))
              . '/../../build/t-keys';
}


# The path of a file that is made once, by whoever comes first.

sub _file {
    my ($name, $suffix, $make) = @_;

    my $dir = _dir();
    my $path = "$dir/$name.$suffix";

    return $path if -e $path;

    File::Path::make_path($dir, { mode => 0700 });

    open my $lock, '>', "$dir/.lock" or die "open $dir/.lock: $!\n";
    flock $lock, LOCK_EX or die "flock $dir/.lock: $!\n";

    if (!-e $path) {
        my $umask = umask 0077;

        $make->("$path.new");
        rename "$path.new", $path or die "rename $path.new: $!\n";

        umask $umask;
    }

    close $lock;

    return $path;
}


sub _read {
    my ($path, $bytes) = @_;

    open my $in, '<:raw', $path or die "open $path: $!\n";
    local $/ = $bytes ? \$bytes : undef;
    my $text = <$in>;
    close $in;

    return $text;
}


package NgxGatewayJWT::Ed448;

# What the library lacks, by the openssl command, in its words.

use File::Temp ();


sub generate {
    my ($class) = @_;

    my $pem = _openssl('genpkey', '-algorithm', 'ED448');

    return $class->new(\$pem);
}


sub new {
    my ($class, $pem) = @_;

    my $file = File::Temp->new();

    print $file $$pem;
    $file->flush();

    return bless { pem => $$pem, file => $file }, $class;
}


sub sign_message {
    my ($self, $message) = @_;

    my $in = File::Temp->new();

    binmode $in;
    print $in $message;
    $in->flush();

    return _openssl('pkeyutl', '-sign', '-rawin', '-inkey',
                    $self->{file}->filename(), '-in', $in->filename());
}


sub export_key_pem {
    my ($self, $part) = @_;

    return $self->{pem} if $part eq 'private';
    return _openssl('pkey', '-pubout', '-in', $self->{file}->filename());
}


# the public members alone: the key's bytes end its DER

sub export_key_jwk {
    my ($self) = @_;

    my $der = _openssl('pkey', '-pubout', '-outform', 'DER', '-in',
                       $self->{file}->filename());

    return { kty => 'OKP', crv => 'Ed448',
             x => NgxGatewayJWT::b64u(substr $der, -57) };
}


sub _openssl {
    my (@arguments) = @_;

    open my $out, '-|', 'openssl', @arguments or die "openssl: $!\n";
    binmode $out;
    local $/ = undef;
    my $text = <$out>;
    close $out or die "openssl @arguments: failed\n";

    return $text;
}


1;
