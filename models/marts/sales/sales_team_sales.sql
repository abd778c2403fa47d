-- partitioned by month so that an increment writes the touched months only, and by
-- store for readers of one store
{{ config(
    partition_by=['sales_month', 'store_id'],
    pre_hook='{{ drop_touched_months("sales_month") }}'
) }}

with

sales as (

    select * from {{ ref('fct_sales') }}

    {%- if is_incremental() %}

    where {{ is_in_touched_month('sales_month') }}
    {%- endif %}

    -- one task writes one store's month, so it has one file; rows move before they are
    -- made wide
    distribute by sales_month, store_id

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

sales_team_sales as (

    select
        sales.store_id,
        sales.sales_person_id,
        {{ or_unknown('sales_people.full_name', 'sales_people.sales_person_id') }}
            as full_name,
        sales_people.manager_id,
        {{ or_unknown('stores.address', 'stores.store_id') }} as store_address,
        {{ or_unknown('stores.manager_name', 'stores.store_id') }}
            as store_manager_name,
        sales.customer_id,
        sales.product_name,
        sales.sales_date,
        sales.price,
        sales.quantity,
        sales.total_cost,
        coalesce(sales_people.is_known, false) as is_known_sales_person,
        coalesce(stores.is_known, false) as is_known_store,
        if(sales_people.is_known, sales_people.sales_person_id, -1) as sales_person_key,
        if(stores.is_known, stores.store_id, -1) as store_key,
        coalesce(products.product_id, -1) as product_key,
        sales.file_id,
        sales.line_number,
        sales.sales_month

    from sales

    left join sales_people on sales.sales_person_id = sales_people.sales_person_id

    left join stores on sales.store_id = stores.store_id

    left join products on sales.product_name = products.product_name

)

select * from sales_team_sales
