with

products as (

    select * from {{ ref('stg_retail__products') }}

    where product_id <> -1

),

-- the tills send a name, and one name may stand for several products: the one with the
-- lowest id bears the sales, so that a join on the name never multiplies a row
known_products as (

    select
        product_id,
        product_name,
        current_price,
        old_price,
        created_date,
        updated_date,
        expiry_date,
        product_name is not null
        and row_number() over (partition by product_name order by product_id) = 1
            as is_sold_under_name,
        true as is_known

    from products

),

unknown_member as (

    select
        -1 as product_id,
        {{ unknown_label() }} as product_name,
        cast(null as decimal(18, 4)) as current_price,
        cast(null as decimal(18, 4)) as old_price,
        cast(null as date) as created_date,
        cast(null as date) as updated_date,
        cast(null as date) as expiry_date,
        false as is_sold_under_name,
        false as is_known

),

dim_products as (

    select * from known_products
    union all
    select * from unknown_member

)

select * from dim_products
