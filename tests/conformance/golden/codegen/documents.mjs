export class TypedDocumentString extends String {
    __apiType;
    value;
    __meta__;
    constructor(value, __meta__) {
        super(value);
        this.value = value;
        this.__meta__ = __meta__;
    }
    toString() {
        return this.value;
    }
}
export const RefusalFragmentDoc = new TypedDocumentString(`
    fragment Refusal on UserError {
  code
  message
  field
}
    `, { "fragmentName": "Refusal" });
export const AmountFragmentDoc = new TypedDocumentString(`
    fragment Amount on Money {
  amount
  currency
}
    `, { "fragmentName": "Amount" });
export const AccountRowFragmentDoc = new TypedDocumentString(`
    fragment AccountRow on Account {
  id
  name
  nickname
  mask
  group
  balance {
    ...Amount
  }
}
    fragment Amount on Money {
  amount
  currency
}`, { "fragmentName": "AccountRow" });
export const TransactionRowFragmentDoc = new TypedDocumentString(`
    fragment TransactionRow on Transaction {
  id
  description
  date
  status
  amount {
    ...Amount
  }
}
    fragment Amount on Money {
  amount
  currency
}`, { "fragmentName": "TransactionRow" });
export const AccountDetailDocument = new TypedDocumentString(`
    query AccountDetail($id: ID!, $first: Int! = 20) {
  account(id: $id) {
    ...AccountRow
    holdings(first: $first) {
      nodes {
        id
        quantity
        marketValue {
          ...Amount
        }
        security {
          id
          symbol
          name
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
    fragment Amount on Money {
  amount
  currency
}
fragment AccountRow on Account {
  id
  name
  nickname
  mask
  group
  balance {
    ...Amount
  }
}`, { "hash": "sha256:1b4d71ef5d43d009c330e1cde163ddfcdcb121ba3dbd6854cc0b6cda63b32076" });
export const AccountsDocument = new TypedDocumentString(`
    query Accounts {
  accounts {
    ...AccountRow
  }
}
    fragment Amount on Money {
  amount
  currency
}
fragment AccountRow on Account {
  id
  name
  nickname
  mask
  group
  balance {
    ...Amount
  }
}`, { "hash": "sha256:7e498466b9c91a05bb9113454a71b85a0d5aced6237fdbe17646ac595771702d" });
export const ActivityDocument = new TypedDocumentString(`
    query Activity($first: Int! = 25, $after: String, $search: String) {
  transactions(first: $first, after: $after, filter: {search: $search}) {
    nodes {
      ...TransactionRow
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
    fragment Amount on Money {
  amount
  currency
}
fragment TransactionRow on Transaction {
  id
  description
  date
  status
  amount {
    ...Amount
  }
}`, { "hash": "sha256:412cc5a2fc3757a34ac53296b2978083a15a230bb487999de3bab618d902e8b8" });
export const ChangesDocument = new TypedDocumentString(`
    query Changes($after: String, $first: Int! = 500) {
  changes(after: $after, first: $first) {
    upserted {
      __typename
      id
      ... on Account {
        ...AccountRow
        isActive
      }
      ... on Transaction {
        ...TransactionRow
        account {
          id
        }
      }
      ... on Holding {
        quantity
        isActive
        account {
          id
        }
        security {
          id
        }
      }
      ... on Security {
        symbol
        name
      }
      ... on Link {
        alias
        linkStatus: status
      }
    }
    deletedIds
    cursor
    hasMore
  }
}
    fragment Amount on Money {
  amount
  currency
}
fragment AccountRow on Account {
  id
  name
  nickname
  mask
  group
  balance {
    ...Amount
  }
}
fragment TransactionRow on Transaction {
  id
  description
  date
  status
  amount {
    ...Amount
  }
}`, { "hash": "sha256:093c2b4e70dcdaed48e30683b6856ae2fe3e88090ee7e25e25c69468f5eed9b5" });
export const EventsDocument = new TypedDocumentString(`
    subscription Events($categories: [EventCategory!], $after: String) {
  events(categories: $categories, after: $after) {
    __typename
    id
    cursor
    at
    name
    message
    ... on SyncEvent {
      run {
        id
        status
      }
    }
    ... on BalanceEvent {
      account {
        id
      }
      current {
        ...Amount
      }
    }
  }
}
    fragment Amount on Money {
  amount
  currency
}`, { "hash": "sha256:c56a4697ff044b4b6bde6a800ec126b9e1c6b7c16e7d1f2e397e950d2b16f8af" });
export const HomeDocument = new TypedDocumentString(`
    query Home {
  viewer {
    id
    email
    baseCurrency
  }
  netWorth {
    total {
      ...Amount
    }
    byGroup {
      group
      accountCount
      total {
        ...Amount
      }
    }
  }
  accounts {
    ...AccountRow
  }
}
    fragment Amount on Money {
  amount
  currency
}
fragment AccountRow on Account {
  id
  name
  nickname
  mask
  group
  balance {
    ...Amount
  }
}`, { "hash": "sha256:98d0d1ee4b349049abbd539625e997966a2c8ef97e81048d9d5062a42c1aa903" });
export const RefreshSessionDocument = new TypedDocumentString(`
    mutation RefreshSession($token: String!) {
  refreshSession(refreshToken: $token) {
    accessToken
    refreshToken
    expiresInSeconds
    errors {
      ...Refusal
    }
  }
}
    fragment Refusal on UserError {
  code
  message
  field
}`, { "hash": "sha256:a9035c8324728ebf06fde39d43b1a8f6a77455c0e03437a11a6bff56acbc3e25" });
export const RenameAccountDocument = new TypedDocumentString(`
    mutation RenameAccount($input: UpdateAccountInput!) {
  updateAccount(input: $input) {
    account {
      ...AccountRow
    }
    errors {
      ...Refusal
    }
  }
}
    fragment Amount on Money {
  amount
  currency
}
fragment Refusal on UserError {
  code
  message
  field
}
fragment AccountRow on Account {
  id
  name
  nickname
  mask
  group
  balance {
    ...Amount
  }
}`, { "hash": "sha256:f027c81109c68a4fdd1c500ec941b4a43d1604278d739f24d9d1edd8b3cdbc4c" });
export const SignInDocument = new TypedDocumentString(`
    mutation SignIn($input: SignInInput!) {
  signIn(input: $input) {
    accessToken
    refreshToken
    expiresInSeconds
    errors {
      ...Refusal
    }
  }
}
    fragment Refusal on UserError {
  code
  message
  field
}`, { "hash": "sha256:a35ace3028cf6778d8a8b223478844c79aa74f86675ecfec1a09cb772c675705" });
export const SyncNowDocument = new TypedDocumentString(`
    mutation SyncNow($input: SyncInput!) {
  sync(input: $input) {
    runs {
      id
      status
      progress
    }
    errors {
      ...Refusal
    }
  }
}
    fragment Refusal on UserError {
  code
  message
  field
}`, { "hash": "sha256:7d29fab637ce6289fbfc2fd51288cec9da6e83108634ed0be45b4479a3dc3720" });
export const SyncProgressDocument = new TypedDocumentString(`
    subscription SyncProgress($runId: ID!) {
  syncProgress(runId: $runId) {
    id
    status
    progress
  }
}
    `, { "hash": "sha256:17418560b81e16d24322e31f82146a47af0b1e28ab65ae4ed71153b0bf62e6d0" });
