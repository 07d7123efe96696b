// The aggregate module's work done with njs: what aggregate.pm measures
// beside it.

async function small(r) {
    await merge(r, ['/small/1', '/small/2', '/small/3']);
}


async function large(r) {
    await merge(r, ['/large/1', '/large/2', '/large/3']);
}


async function merge(r, uris) {
    const parts = await Promise.all(uris.map(uri => r.subrequest(uri)));

    if (parts.some(part => part.status != 200)) {
        r.return(502);
        return;
    }

    const values = parts.map(part => JSON.parse(part.responseText));

    r.headersOut['Content-Type'] = 'application/json';
    r.return(200, JSON.stringify({ user: values[0], orders: values[1],
                                 ads: values[2] }));
}


export default { small, large };
