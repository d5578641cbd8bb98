/** Service accounts and API tokens; a token's text is shown once. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { revokeToken, serviceAccountsQuery, type Token, tokensQuery } from '@/api/access';
import { useMay, useSession } from '@/api/session';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { Command } from '@/parts/copy';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { type Column, DataTable } from '@/parts/table';
import { complain, say } from '@/parts/toast';
import { useParam } from '@/parts/url';
import { GrantsDrawer } from './grants';
import { AccountExtra } from './holderExtra';
import { AddAccount, MakeToken } from './tokenDialogs';

export function Tokens() {
  const tokens = useQuery(tokensQuery);
  const accounts = useQuery({ ...serviceAccountsQuery, enabled: useMay('service_accounts.read') });
  const me = useSession()?.actor;
  const queries = useQueryClient();
  const [adding, setAdding] = useState<'token' | 'account' | null>(null);
  const [made, setMade] = useState<string | null>(null);
  const [open, setOpen] = useParam('account');
  const owner = (id: string) => accounts.data?.items.find((a) => a.id === id)?.name ?? (id === me?.id ? 'you' : id);
  const revoke = async (id: string) => {
    try {
      await revokeToken(id);
      say('Token revoked');
    } catch (error) {
      complain(error, 'Token not revoked');
    }
    void queries.invalidateQueries({ queryKey: ['tokens'] });
  };
  const columns: Column<Token>[] = [
    { id: 'name', head: 'Token', value: (t) => t.name, cell: (t) => <b>{t.name}</b> },
    { id: 'owner', head: 'Owner', value: (t) => owner(t.owner) },
    {
      id: 'may',
      head: 'Scopes',
      value: (t) => t.permissions?.join(', '),
      cell: (t) =>
        t.permissions ? (
          <span className="mono break">{t.permissions.join(', ')}</span>
        ) : (
          <span className="muted">all of its owner</span>
        ),
      wide: true,
    },
    {
      id: 'used',
      head: 'Last used',
      value: (t) => t.used_at,
      cell: (t) => <Ago at={t.used_at} />,
      number: true,
      wide: true,
    },
    {
      id: 'expires',
      head: 'Expires',
      value: (t) => t.expires_at,
      cell: (t) => (t.expires_at ? <Ago at={t.expires_at} /> : 'never'),
      number: true,
    },
    {
      id: 'end',
      head: '',
      value: () => '',
      cell: (t) => (
        <Guarded permission="tokens.write" onClick={() => void revoke(t.id)} label={`Revoke ${t.name}`}>
          Revoke
        </Guarded>
      ),
      width: 90,
    },
  ];
  const chosen = accounts.data?.items.find((a) => a.id === open) ?? null;
  return (
    <>
      {made && (
        <div className="below">
          <Card title="New token">
            <p style={{ marginBottom: 8 }}>Copy it now: it is shown once and stored only as a hash.</p>
            <Command value={made} />
          </Card>
        </div>
      )}
      <div className="below">
        <Card
          title="API tokens"
          flush
          aside={
            <Guarded permission="tokens.write" onClick={() => setAdding('token')}>
              Create token
            </Guarded>
          }
        >
          <Shown
            query={tokens}
            what="Tokens"
            empty={{
              when: (p) => p.items.length === 0,
              show: <Empty title="No tokens yet">Scripts and mainstay ctl authenticate with a token.</Empty>,
            }}
          >
            {(page) => (
              <DataTable
                rows={page.items}
                columns={columns}
                id={(t) => t.id}
                label="API tokens"
                sort="name"
                aside={plural(page.items.length, 'token')}
              />
            )}
          </Shown>
        </Card>
      </div>
      <div className="below">
        <Card
          title="Service accounts"
          flush
          aside={
            <Guarded permission="service_accounts.write" onClick={() => setAdding('account')}>
              Add service account
            </Guarded>
          }
        >
          <Shown
            query={accounts}
            needs="service_accounts.read"
            what="Service accounts"
            empty={{
              when: (p) => p.items.length === 0,
              show: (
                <Empty title="No service accounts yet">
                  Create one for each program that uses the API, with the least role it needs.
                </Empty>
              ),
            }}
          >
            {(page) => (
              <>
                {page.items.map((account) => (
                  <button
                    type="button"
                    key={account.id}
                    className="plain line"
                    style={{ width: '100%' }}
                    onClick={() => setOpen(account.id)}
                  >
                    <b>
                      {account.name}
                      {account.is_disabled && <span className="muted"> disabled</span>}
                    </b>
                    <span className="muted">{account.description}</span>
                  </button>
                ))}
              </>
            )}
          </Shown>
        </Card>
      </div>
      <GrantsDrawer
        holder="service-accounts"
        id={chosen?.id ?? null}
        name={chosen?.name ?? ''}
        close={() => setOpen('')}
        extra={chosen && <AccountExtra key={chosen.id} account={chosen} close={() => setOpen('')} />}
      />
      {adding === 'token' && (
        <MakeToken accounts={accounts.data?.items ?? []} close={() => setAdding(null)} made={setMade} />
      )}
      {adding === 'account' && <AddAccount close={() => setAdding(null)} />}
    </>
  );
}
