-- ephemeral: one model reads it, and a view would be one more query of each build
{{ config(materialized='ephemeral') }}

{#- The marts are read as the last build left them, by name: a ref() would make a
    circle. Where a dimension is as it was, no month can be out of step with it. -#}
{%- set customer_months = mart_to_compare('customers_data_mart', 'customer') -%}
{%- set seller_months
    = mart_to_compare('sales_team_data_mart', 'sales_team', 'store') -%}
{%- set seller_lines = mart_to_compare('sales_team_sales', 'sales_team') -%}
{%- set product_months = mart_to_compare('rpt_sales_by_product_and_month', 'product') %}

with

customers as (

    select * from {{ ref('dim_customers') }}

),

sales_people as (

    select * from {{ ref('dim_sales_people') }}

),

stores as (

    select * from {{ ref('dim_stores') }}

),

products as (

    select * from {{ ref('dim_products') }}

    where is_sold_under_name

),

int_months_changed as (

    {% if customer_months -%}
    select marts.sales_date_month as sales_month

    from {{ customer_months }} as marts

    left join customers on marts.customer_id = customers.customer_id

    where
        not (
            marts.full_name
            <=> {{ or_unknown('customers.full_name', 'customers.customer_id') }}
            and marts.address
            <=> {{ or_unknown('customers.address', 'customers.customer_id') }}
            and marts.phone_number
            <=> {{ or_unknown('customers.phone_number', 'customers.customer_id') }}
            and marts.is_known_customer = coalesce(customers.is_known, false)
        )

    union all
    {% endif -%}
    {% if seller_months -%}
    select marts.sales_month

    from {{ seller_months }} as marts

    left join sales_people on marts.sales_person_id = sales_people.sales_person_id

    left join stores on marts.store_id = stores.store_id

    where
        not (
            marts.full_name <=> {{ or_unknown(
                'sales_people.full_name', 'sales_people.sales_person_id'
            ) }}
            and marts.store_address
            <=> {{ or_unknown('stores.address', 'stores.store_id') }}
            and marts.store_manager_name
            <=> {{ or_unknown('stores.manager_name', 'stores.store_id') }}
            and marts.is_known_sales_person = coalesce(sales_people.is_known, false)
            and marts.is_known_store = coalesce(stores.is_known, false)
        )

    union all
    {% endif -%}
    {% if seller_lines -%}
    -- of what the lines show of a seller, the mart has all but the manager
    select marts.sales_month

    from {{ seller_lines }} as marts

    left join sales_people on marts.sales_person_id = sales_people.sales_person_id

    where not marts.manager_id <=> sales_people.manager_id

    union all
    {% endif -%}
    {% if product_months -%}
    select marts.sales_month

    from {{ product_months }} as marts

    left join products on marts.product_name = products.product_name

    where marts.product_key <> coalesce(products.product_id, -1)

    union all
    {% endif -%}
    -- where there is nothing to compare with
    select cast(null as string) as sales_month

    where false

)

select * from int_months_changed
