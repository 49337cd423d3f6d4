path "kv/data/*" {
  capabilities = ["read", "list"]
}
