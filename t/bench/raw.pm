# nginx alone: the figure everything else is compared with, and how much two
# measurements of the very same thing differ on this machine.

use strict;
use warnings;

sub {
    my ($bench) = @_;

    return ({
        name => 'raw',
        request => { path => '/' },
        raw => {},
        cases => [
            { name => 'self', title => 'raw proxy_pass against itself',
              side => {}, rounds => 1 },
            { name => 'empty_gif', title => 'no proxying',
              side => { content => 'empty_gif;' } },
        ],
    });
};
