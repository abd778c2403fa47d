-- a table: the marts read it before they are planned, so that Spark opens these months
-- only
{{ config(
    materialized='table',
    pre_hook="{{ generate_code() if not is_unchanged('customer', 'sales_team', 'store', 'product') }}"
) }}

{#- The marts are read as the last build left them, by name: a ref() would make a
    circle. Where a dimension is as it was, no month can be out of step with it. -#}
{%- set customer_months = none if is_unchanged('customer')
    else built_before('customers_data_mart') -%}
{%- set seller_months = none if is_unchanged('sales_team', 'store')
    else built_before('sales_team_data_mart') -%}
{%- set seller_lines = none if is_unchanged('sales_team')
    else built_before('sales_team_sales') -%}
{%- set product_months = none if is_unchanged('product')
    else built_before('rpt_sales_by_product_and_month') -%}
{%- set cut_short = months_out_of_step('fct_sales', {
    'customer_sales': 'sales_month',
    'customers_data_mart': 'sales_date_month',
    'sales_team_sales': 'sales_month',
    'sales_team_data_mart': 'sales_month',
    'rpt_sales_by_product_and_month': 'sales_month',
}) -%}

with

sales as (

    select * from {{ ref('stg_pos__sales') }}

    where {{ is_in_scope('batch_id') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

products as (

    select * from {{ ref('dim_products') }}

    where is_sold_under_name

),

sales_people as (

    select * from {{ ref('dim_sales_people') }}

),

stores as (

    select * from {{ ref('dim_stores') }}

),

-- every row that has a day, so that a row or file that no longer counts takes its month
-- along
months_of_batches as (

    select {{ month_of('sales_date') }} as sales_month

    from sales

    where sales_date is not null

),

{%- if customer_months %}

months_of_changed_customers as (

    select marts.sales_date_month as sales_month

    from {{ customer_months }} as marts

    left join customers on marts.customer_id = customers.customer_id

    where not (
        marts.full_name
        <=> {{ or_unknown('customers.full_name', 'customers.customer_id') }}
        and marts.address
        <=> {{ or_unknown('customers.address', 'customers.customer_id') }}
        and marts.phone_number
        <=> {{ or_unknown('customers.phone_number', 'customers.customer_id') }}
        and marts.is_known_customer = coalesce(customers.is_known, false)
    )

),
{%- endif %}

{%- if seller_months %}

months_of_changed_sellers_and_stores as (

    select marts.sales_month

    from {{ seller_months }} as marts

    left join sales_people on marts.sales_person_id = sales_people.sales_person_id

    left join stores on marts.store_id = stores.store_id

    where not (
        marts.full_name <=> {{ or_unknown('sales_people.full_name', 'sales_people.sales_person_id') }}
        and marts.store_address <=> {{ or_unknown('stores.address', 'stores.store_id') }}
        and marts.store_manager_name <=> {{ or_unknown('stores.manager_name', 'stores.store_id') }}
        and marts.is_known_sales_person = coalesce(sales_people.is_known, false)
        and marts.is_known_store = coalesce(stores.is_known, false)
    )

),
{%- endif %}

{%- if seller_lines %}

-- of what the lines show of a seller, the mart has all but the manager
months_of_changed_managers as (

    select lines.sales_month

    from {{ seller_lines }} as lines

    left join sales_people on lines.sales_person_id = sales_people.sales_person_id

    where not lines.manager_id <=> sales_people.manager_id

),
{%- endif %}

{%- if product_months %}

months_of_changed_products as (

    select marts.sales_month

    from {{ product_months }} as marts

    left join products on marts.product_name = products.product_name

    where marts.product_key <> coalesce(products.product_id, -1)

),
{%- endif %}

-- months that a build dropped from one table and was ended before it wrote them again
months_cut_short as (

    select explode(
        array(
            {%- for month in cut_short %}
            {{ text_literal(month) }}{{ ',' if not loop.last }}
            {%- endfor %}
        )
    ) as sales_month

),

unioned as (

    select sales_month from months_of_batches
    union all
    {%- if customer_months %}
    select sales_month from months_of_changed_customers
    union all
    {%- endif %}
    {%- if seller_months %}
    select sales_month from months_of_changed_sellers_and_stores
    union all
    {%- endif %}
    {%- if seller_lines %}
    select sales_month from months_of_changed_managers
    union all
    {%- endif %}
    {%- if product_months %}
    select sales_month from months_of_changed_products
    union all
    {%- endif %}
    select cast(sales_month as string) as sales_month from months_cut_short

),

int_months_touched as (

    select sales_month

    from unioned

    group by sales_month

)

select * from int_months_touched
